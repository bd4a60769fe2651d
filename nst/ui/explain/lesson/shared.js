// The lesson in the browser: numbers under the pointer, from data that is sent once per layer or pair.
// `receive` takes the data of the server by name; each view draws itself when the data that it needs arrive.
(() => {
  if (window.nstLesson) return;
  const data = {}; // name -> the newest data: channel, pair, matrix, cost, shuffle, guess
  const views = []; // of the steps that the visitor has opened
  const kinds = {}; // name of a view -> function that builds it

  window.nstLesson = {
    data, kinds,
    receive(text) {
      const fresh = text ? JSON.parse(text) : {};
      Object.assign(data, fresh);
      for (const view of views) if (Object.keys(fresh).some(name => view.needs.includes(name))) draw(view);
    },
    mount(element, kind, ask) {
      const view = kinds[kind](element, ask);
      views.push(view);
      draw(view);
    },
  };

  function draw(view) {
    if (view.needs.every(name => data[name])) view.draw(...view.needs.map(name => data[name]));
  }

  // ---- shared by the views -------------------------------------------------------------------------------------
  const lesson = window.nstLesson;

  lesson.make = (tag, options = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), options);
    made.append(...children);
    return made;
  };

  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

  // A map of activations: 16 bits a position, linear from 0 to the largest value.
  lesson.mapOf = ({ values, scale }) => Float64Array.from(new Uint16Array(bytes(values).buffer), q => q * scale);

  // The upper triangle of a symmetric matrix in float16 times a scale -> a function of row and column.
  lesson.matrixOf = ({ values, scale, count }) => {
    const found = Float64Array.from(new Uint16Array(bytes(values).buffer), half => fromHalf(half) * scale);
    return (k, m) => {
      const [low, high] = k < m ? [k, m] : [m, k];
      return found[low * count - (low * (low - 1)) / 2 + high - low];
    };
  };

  function fromHalf(half) {
    const exponent = (half >> 10) & 31, fraction = half & 1023, sign = half & 32768 ? -1 : 1;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  }

  // Numbers as the lecture writes them: four digits, and a power of ten where that is shorter.
  lesson.number = (value, digits = 4) => {
    if (value === 0 || (Math.abs(value) >= 0.01 && Math.abs(value) < 1e5)) return String(+value.toPrecision(digits));
    const [factor, power] = value.toExponential(digits - 1).split("e");
    return `${+factor} × 10<sup>${+power}</sup>`;
  };
  lesson.value = (value, name = "") => `<b data-value="${value}" data-name="${name}">${lesson.number(value)}</b>`;
  lesson.symbol = prime => `<i>a<sub>ijk${prime}</sub></i>`;

  // Colours: zero is dark for amounts, white between blue and red for signed entries.
  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const SIGNED = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
  lesson.colour = (share, signed) => {
    const stops = signed ? SIGNED : VIRIDIS;
    const place = Math.min(3.9999, Math.max(0, signed ? 2 + 2 * share : 4 * share));
    const left = stops[Math.floor(place)], right = stops[Math.floor(place) + 1], part = place % 1;
    return left.map((value, index) => Math.round(value + part * (right[index] - value)));
  };

  // Colour scales: what maps an entry to its place between the colours, and back for the ticks of the colour bar.
  const DECADES = 6; // smaller entries have the colour of zero on the logarithmic scale
  lesson.scales = {
    "square root": { to: share => Math.sqrt(share), from: place => place * place },
    logarithm: {
      to: share => Math.max(0, 1 + Math.log10(Math.max(share, 10 ** -DECADES)) / DECADES),
      from: place => (place ? 10 ** (DECADES * (place - 1)) : 0),
    },
    linear: { to: share => share, from: place => place },
  };

  lesson.heat = (canvas, entry, order, largest, scale, signed) => {
    const count = order.length, to = lesson.scales[scale].to;
    canvas.width = canvas.height = count;
    const context = canvas.getContext("2d"), picture = context.createImageData(count, count);
    const table = Array.from({ length: 513 }, (_, index) => lesson.colour(index / 256 - 1, true));
    const plain = Array.from({ length: 257 }, (_, index) => lesson.colour(index / 256, false));
    for (let row = 0, at = 0; row < count; row++)
      for (let column = 0; column < count; column++, at += 4) {
        const value = entry(order[row], order[column]), place = to(Math.min(1, Math.abs(value) / largest));
        const rgb = signed ? table[256 + Math.sign(value) * Math.round(256 * place)] : plain[Math.round(256 * place)];
        picture.data.set([rgb[0], rgb[1], rgb[2], 255], at);
      }
    context.putImageData(picture, 0, 0);
  };

  // Draw the pixels of a box of the picture; what lies outside of the picture is grey.
  lesson.drawBox = (canvas, image, [left, top, right, bottom], side) => {
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d"), scale = side / (right - left);
    context.fillStyle = "#808080";
    context.fillRect(0, 0, side, side);
    if (image.complete) context.drawImage(image, -left * scale, -top * scale, image.naturalWidth * scale, image.naturalHeight * scale);
  };

  lesson.boxOf = ({ field: [side, stride, first] }, row, column) => {
    const left = column * stride + first, top = row * stride + first;
    return [left, top, left + side, top + side];
  };

  // A picture in grey with a map in orange over it, the receptive field of the position, and the chosen area.
  lesson.stack = (label, act) => {
    const { make } = lesson;
    const image = make("img", { alt: label, draggable: false }), canvas = make("canvas");
    const seen = make("div", { className: "seen", hidden: true }), area = make("div", { className: "area", hidden: true });
    const spot = make("div", { className: "spot", hidden: true });
    const face = make("div", { className: "face", tabIndex: 0 }, image, canvas, area, seen, spot);
    face.setAttribute("role", "application");
    face.setAttribute("aria-label", `${label}: arrow keys move the position, with Shift by ten`);
    const caption = make("figcaption", { innerHTML: label });
    const root = make("figure", { className: "stack" }, face, caption);
    const stack = { root, face, image, caption, data: null };

    stack.fill = (pictured, values, name) => {
      const { picture: { src, width, height }, grid: [rows, columns], field: [, stride] } = pictured;
      stack.data = pictured;
      if (image.src !== src) image.src = src;
      face.style.aspectRatio = `${width} / ${height}`;
      caption.innerHTML = name;
      const small = make("canvas", { width: columns, height: rows }), context = small.getContext("2d");
      const dots = context.createImageData(columns, rows);
      let largest = 0;
      for (const value of values) largest = Math.max(largest, value);
      values.forEach((value, at) => dots.data.set([255, 120, 10, largest ? (255 * value) / largest : 0], 4 * at));
      context.putImageData(dots, 0, 0);
      canvas.width = width;
      canvas.height = height;
      canvas.getContext("2d").drawImage(small, 0, 0, columns * stride, rows * stride);
    };
    const place = (element, [left, top, right, bottom]) => {
      const { width, height } = stack.data.picture;
      element.style.left = `${(100 * left) / width}%`;
      element.style.top = `${(100 * top) / height}%`;
      element.style.width = `${(100 * (right - left)) / width}%`;
      element.style.height = `${(100 * (bottom - top)) / height}%`;
    };
    stack.mark = (row, column, chosen) => {
      const stride = stack.data.field[1];
      seen.hidden = spot.hidden = false;
      place(seen, lesson.boxOf(stack.data, row, column));
      place(spot, [column * stride, row * stride, (column + 1) * stride, (row + 1) * stride]);
      area.hidden = !chosen;
      if (chosen) place(area, [chosen.left, chosen.top, chosen.right + 1, chosen.bottom + 1].map(at => at * stride));
    };
    connect(stack, act);
    return stack;
  };

  // Pointer and keys on a stack: `act.point(row, column)` and `act.drag(first, last)` with positions of the layer.
  function connect(stack, act) {
    const { face } = stack;
    let first = null;
    const at = event => {
      const { grid: [rows, columns], picture: { width, height }, field: [, stride] } = stack.data;
      const box = face.getBoundingClientRect();
      const row = Math.floor((((event.clientY - box.top) / box.height) * height) / stride);
      const column = Math.floor((((event.clientX - box.left) / box.width) * width) / stride);
      return [Math.min(rows - 1, Math.max(0, row)), Math.min(columns - 1, Math.max(0, column))];
    };
    face.addEventListener("pointerdown", event => {
      if (!stack.data) return;
      if (event.pointerType === "mouse") face.setPointerCapture(event.pointerId);
      first = event.pointerType === "mouse" ? at(event) : null;
      act.point(...at(event));
    });
    face.addEventListener("pointermove", event => {
      if (!stack.data) return;
      const here = at(event);
      if (first && act.drag && (Math.abs(here[0] - first[0]) > 1 || Math.abs(here[1] - first[1]) > 1)) act.drag(first, here);
      else act.point(...here);
    });
    for (const name of ["pointerup", "pointercancel"]) face.addEventListener(name, () => (first = null));
    face.addEventListener("keydown", event => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step || !stack.data) return;
      event.preventDefault();
      const many = event.shiftKey ? 10 : 1, [rows, columns] = stack.data.grid, [row, column] = act.where();
      act.point(
        Math.min(rows - 1, Math.max(0, row + many * step[0])),
        Math.min(columns - 1, Math.max(0, column + many * step[1])),
      );
    });
  }

  // Buttons that ask the server for a channel or a pair; the chosen one is marked.
  lesson.choices = (items, chosen, press) =>
    items.map(({ name, content, key }) => {
      const button = lesson.make("button", { type: "button", className: "choice", onclick: () => press(key) }, ...content);
      button.setAttribute("aria-pressed", String(name === chosen));
      button.dataset.name = name;
      return button;
    });
})();
