"""A tab that opens, is loaded again or closes: it finds its visit, or its visit is forgotten within a minute."""

from __future__ import annotations

from functools import partial

import gradio as gr

from nst.ui.server.events import Updates
from nst.ui.stylise import gallery
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.visits import GRACE_S, sweep_always, visits

# The key of its visit is kept by the tab alone, so that two tabs are two visits. Some browsers refuse to keep it.
READ_KEY = """visit => {
    try {
        const [{ type }] = performance.getEntriesByType("navigation");
        return [visit, `${type} ${sessionStorage.getItem("nst-visit")}`];
    } catch { return [visit, ""]; }
}"""
KEEP_KEY = "key => { try { sessionStorage.setItem('nst-visit', key); } catch {} return key; }"
LOST = (
    f"The connection was away for over {GRACE_S:.0f} s: what this tab had painted is no longer on the server. "
    "Here is the example again."
)
WELCOME_BACK = "The page was loaded again; here is your last picture, with its pictures and settings."


def open_tab(visit: Visit, came: str, request: gr.Request) -> Updates:
    """Find the visit that this tab had before it was loaded again; `came` is how it was loaded and the visit's key."""
    how, _, key = came.partition(" ")
    found = visits().find(key, request.session_hash or "", loaded_again=how == "reload")
    if found is None:
        visits().welcome(visit, request.session_hash or "")
        lost = key not in ("", "null") and not visits().is_open(key)
        return {"key": visit.key, **({"status": LOST} if lost else {})}
    found.leave()
    found.come_back()
    shown = gallery.bring_back(found, WELCOME_BACK) if found.strip else {}
    return {"visit": found, "key": found.key, **shown}


def close_tab(request: gr.Request) -> None:
    visits().close(request.session_hash or "")


def forget_sessions(page: gr.Blocks) -> None:
    """From now on, free what gradio keeps of closed tabs: the values of all components of each session."""
    sweep_always(partial(_forget_session, page))


def _forget_session(page: gr.Blocks, session: str) -> None:
    if holder := getattr(page, "state_holder", None):
        holder.session_data.pop(session, None)
        holder.time_last_used.pop(session, None)
    page._queue.pending_messages_per_session.pop(session, None)
    page._queue.pending_event_ids_session.pop(session, None)
