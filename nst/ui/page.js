() => {
    /* What gradio's components leave out: taps, keys and announcements. Called once, when the page has been built.
       Listeners are on the document, because gradio draws many elements anew. */
    const isNarrow = () => window.innerWidth < 768;
    const find = (selector, within = document) => within.querySelector(selector);

    const replaceOnTap = event => {
        const frame = event.target.closest(".picture-input .image-frame");
        if (frame) find("input[type=file]", frame.closest(".image-container"))?.click();
    };

    /* On a phone what answers a button may be a screen away. The waiting events have hidden Stylise by then. */
    const ANSWERS = { "stylise-button": "action", "go-on": "stage", "bigger": "stage", "paint-print": "stage",
                      "clip-paint": "clip-action", "texture": "action", "rebuild": "action", "show-options": "views" };
    const bringIntoView = event => {
        const answer = ANSWERS[event.target.closest("button")?.id];
        if (answer && isNarrow()) setTimeout(() => document.getElementById(answer)?.scrollIntoView(), 150);
    };

    const moveBetweenTabs = event => {
        const tab = event.target.closest("[role=tab]");
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!tab || !by) return;
        const tabs = [...tab.parentElement.querySelectorAll("[role=tab]")];
        const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
        next.focus();
        next.click();
        event.preventDefault();
    };

    /* gradio's slider between two pictures listens to the mouse alone, so keys send it a drag. */
    const share = handle => {
        const picture = find("#compare .content").getBoundingClientRect();
        const middle = handle.getBoundingClientRect();
        return (middle.left + middle.width / 2 - picture.left) / picture.width;
    };
    const moveCompare = event => {
        const handle = event.target.closest("#compare [data-testid=slider]");
        const to = handle && { ArrowRight: share(handle) + 0.05, ArrowUp: share(handle) + 0.05, Home: 0, End: 1,
                               ArrowLeft: share(handle) - 0.05, ArrowDown: share(handle) - 0.05 }[event.key];
        if (to === null || to === undefined) return;
        event.preventDefault();
        const picture = find("#compare .content").getBoundingClientRect();
        const at = portion => ({ bubbles: true, view: window, clientY: picture.top + picture.height / 2,
                                 clientX: picture.left + Math.min(1, Math.max(0, portion)) * picture.width });
        handle.dispatchEvent(new MouseEvent("mousedown", at(share(handle))));
        window.dispatchEvent(new MouseEvent("mousemove", at(to)));
        window.dispatchEvent(new MouseEvent("mouseup", at(to)));
        setTimeout(() => handle.setAttribute("aria-valuenow", Math.round(100 * share(handle))), 50);
    };

    /* gradio's chart has no text of its own: write at each level's line how large its picture is. */
    const markLevels = () => {
        const chart = find("#curve"), frame = chart && find(".role-frame > g > .background", chart);
        if (!frame) return;
        const marks = find(".levels", chart) || chart.appendChild(Object.assign(document.createElement("div"), { className: "levels" }));
        const box = chart.getBoundingClientRect(), top = frame.getBoundingClientRect().top - box.top;
        const words = [...chart.querySelectorAll("path[aria-roledescription='line mark'][aria-label$=' px']")].map(line => {
            const left = Math.round(line.getBoundingClientRect().left - box.left);
            return `<span style="left:${left}px;top:${Math.round(top)}px">${line.getAttribute("aria-label").split(": ").pop()}</span>`;
        }).join("");
        if (marks.words !== words) marks.innerHTML = marks.words = words;
    };

    const describe = () => {
        markLevels();
        for (const status of document.querySelectorAll("#status, #clip-status"))
            if (!status.hasAttribute("aria-live")) status.setAttribute("aria-live", "polite");
        if (find("#share")) find("#share").disabled = find("#download").disabled;
        const handle = find("#compare [data-testid=slider]");
        if (handle && handle.tabIndex < 0) {
            const attributes = { tabindex: 0, role: "slider", "aria-label": "How much of each picture is shown",
                                 "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 50 };
            for (const [name, value] of Object.entries(attributes)) handle.setAttribute(name, value);
        }
    };

    /* The note of a change for Live; null where Live is off. A slider that moves is followed by a GPU, not more often
       than this, and not by a CPU before it is let go. */
    const MOVING_MS = 150;
    let held = false, noted = 0;
    const hold = event => { held = event.type === "pointerdown" && event.target.matches("input[type=range]"); };
    for (const type of ["pointerdown", "pointerup", "pointercancel"]) document.addEventListener(type, hold, true);
    window.noteForLive = (live, what) => {
        const now = Date.now(), follows = find("#live.while-moving") && now - noted >= MOVING_MS;
        if (!live || (what === "moving" && held && !follows)) return null;
        noted = Math.max(now, noted + 1);
        return `${noted} ${what}`;
    };

    document.addEventListener("click", event => {
        replaceOnTap(event);
        bringIntoView(event);
    });
    document.addEventListener("keydown", event => {
        moveBetweenTabs(event);
        moveCompare(event);
    });
    if (navigator.canShare) document.body.classList.add("can-share");
    setInterval(describe, 500);
}
