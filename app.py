"""Neural style transfer in the browser: `python app.py` is `nst page`, and the file that a Hugging Face Space runs."""

import sys

from nst import serve

if __name__ == "__main__":
    sys.exit(serve.main(sys.argv[1:]))
