// Steps 3 and 4: a layer's matrix with a magnifying glass, and the matrices of photo, style and result.
(() => {
  const lesson = window.nstLesson, { make, number, value } = lesson;
  const GLASS = 11; // cells on each side of the magnifying glass
  const names = (k, m) => `<i>k</i> = ${k}, <i>k'</i> = ${m}`;

  function select(label, options, chosen, change, titles = {}) {
    const list = make("select", {}, ...options.map(name => make("option", { value: name, textContent: titles[name] || name })));
    list.value = chosen;
    list.addEventListener("change", () => change(list.value));
    return make("label", { className: "select" }, `${label} `, list);
  }

  // A heat map with a cell that the pointer and the arrow keys move; `act.point` and `act.choose` get its place.
  function heatMap(label, act) {
    const canvas = make("canvas"), cell = make("div", { className: "cell" });
    const face = make("div", { className: "face matrix", tabIndex: 0 }, canvas, cell);
    face.setAttribute("role", "application");
    face.setAttribute("aria-label", `${label}: arrow keys move the cell, with Shift by ten, Enter chooses it`);
    let place = [0, 0], count = 1;
    const at = event => {
      const box = face.getBoundingClientRect();
      const part = (now, from, size) => Math.min(count - 1, Math.max(0, Math.floor(((now - from) / size) * count)));
      return [part(event.clientY, box.top, box.height), part(event.clientX, box.left, box.width)];
    };
    face.addEventListener("pointermove", event => act.point(...at(event)));
    face.addEventListener("click", event => act.choose(...at(event)));
    face.addEventListener("keydown", event => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === "Enter") act.choose(...place);
      if (!step) return;
      event.preventDefault();
      const many = event.shiftKey ? 10 : 1;
      act.point(...place.map((now, axis) => Math.min(count - 1, Math.max(0, now + many * step[axis]))));
    });
    return {
      face, canvas,
      draw(size) { count = size; },
      mark(row, column) {
        place = [row, column];
        cell.style.left = `${(100 * (column + 0.5)) / count}%`;
        cell.style.top = `${(100 * (row + 0.5)) / count}%`;
        cell.style.width = cell.style.height = `max(9px, ${100 / count}%)`;
      },
    };
  }

  // The colour bar: its ticks are entries, as the readout tells them.
  function colourBar(bar, largest, scale, signed) {
    const from = lesson.scales[scale].from, low = signed ? -1 : 0;
    const stops = Array.from({ length: 21 }, (_, index) => `rgb(${lesson.colour(low + ((1 - low) * index) / 20, signed)})`);
    const places = signed ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    const ticks = places.map(place => `<span>${number(Math.sign(place) * from(Math.abs(place)) * largest, 2)}</span>`);
    bar.innerHTML = `<div style="background: linear-gradient(90deg, ${stops})"></div><div class="ticks">${ticks.join("")}</div>`;
  }

  lesson.kinds.matrix = (element, ask) => {
    const readout = make("div", { className: "readout" }), pairs = make("div", { className: "chips words" });
    const glass = make("div", { className: "glass" }), bar = make("div", { className: "colours" }), axis = make("p", { className: "small" });
    const minis = ["Channel k", "Channel k'", "Product"].map(label => lesson.stack(label, { point: () => {}, where: () => [0, 0] }));
    for (const { face } of minis) {
      face.tabIndex = -1;
      face.setAttribute("role", "group");
    }
    let data = null, entry = null, order = [], ordering = "similarity", scale = "square root", place = [0, 0];
    readout.setAttribute("role", "status");
    const map = heatMap("Matrix", { point, choose });
    element.replaceChildren(
      make("div", { className: "columns matrix-step" },
        make("div", { className: "main" }, map.face, bar),
        make("div", { className: "glass-side" },
          make("div", { className: "selects" },
            select("Matrix", ["gram", "covariance", "correlation"], "gram", kind => ask({ kind }), { gram: "style matrix" }),
            select("Order", ["similarity", "energy", "index"], ordering, name => { ordering = name; redraw(); }),
            select("Colours", Object.keys(lesson.scales), scale, name => { scale = name; redraw(); })),
          readout, glass),
        make("div", { className: "pair-side" }, pairs, ...minis.map(stack => stack.root), axis)),
    );
    glass.addEventListener("click", event => {
      const cell = event.target.closest("[data-row]");
      if (cell) choose(+cell.dataset.row, +cell.dataset.column);
    });

    function point(row, column) {
      place = [row, column];
      map.mark(row, column);
      const [k, m] = [order[row], order[column]];
      readout.innerHTML = `${names(k, m)}<br>entry ${value(entry(k, m), "entry")}`;
      magnify();
    }
    function choose(row, column) {
      point(row, column);
      ask({ k: order[row], m: order[column] });
    }
    function magnify() {
      const count = order.length, size = Math.min(GLASS, count);
      const [top, left] = place.map(now => Math.min(count - size, Math.max(0, now - (size >> 1))));
      const to = lesson.scales[scale].to, cells = [`<span></span>`];
      for (let column = left; column < left + size; column++) cells.push(`<span class="head">${order[column]}</span>`);
      for (let row = top; row < top + size; row++) {
        cells.push(`<span class="head">${order[row]}</span>`);
        for (let column = left; column < left + size; column++) {
          const now = entry(order[row], order[column]);
          const rgb = lesson.colour(Math.sign(now) * to(Math.min(1, Math.abs(now) / data.largest)), data.signed);
          const here = row === place[0] && column === place[1] ? " here" : "";
          cells.push(`<span class="tile${here}" data-row="${row}" data-column="${column}" style="background: rgb(${rgb})"></span>`);
        }
      }
      glass.style.gridTemplateColumns = `repeat(${size + 1}, 1fr)`;
      glass.innerHTML = cells.join("");
    }
    function redraw() {
      const [k, m] = order.length ? [order[place[0]], order[place[1]]] : [0, 0];
      order = data.orders[ordering];
      map.draw(order.length);
      lesson.heat(map.canvas, entry, order, data.largest, scale, data.signed);
      colourBar(bar, data.largest, scale, data.signed);
      axis.innerHTML = `${order.length} channels in both directions, ${
        { similarity: "those that fire together side by side", energy: "the strongest first", index: "by the network's own numbers" }[ordering]}.
        The magnifying glass names the channels around the marked cell. ${data.words[0].toUpperCase()}${data.words.slice(1)}.`;
      point(order.indexOf(k), order.indexOf(m));
    }

    return {
      needs: ["matrix", "pair"],
      draw(matrix, pair) {
        if (data !== matrix) {
          data = matrix;
          entry = lesson.matrixOf(data.entries);
        }
        order = data.orders[ordering];
        place = [order.indexOf(pair.k), order.indexOf(pair.m)];
        redraw();
        const items = data.pairs.map(([k, m]) => ({ name: `${k} and ${m}`, key: { k, m }, content: [`${k} and ${m}`] }));
        pairs.replaceChildren(make("span", { textContent: "Strongest pairs:" }), ...lesson.choices(items, `${pair.k} and ${pair.m}`, ask));
        const maps = pair.maps.map(lesson.mapOf);
        maps.push(maps[0].map((a, at) => a * maps[1][at]));
        const titles = [`<i>k</i> = ${pair.k}`, `<i>k'</i> = ${pair.m}`, "product"];
        minis.forEach((stack, index) => stack.fill(pair, maps[index], titles[index]));
      },
    };
  };

  lesson.kinds.cost = element => {
    const words = make("p"), bars = make("div", { className: "costs" }), readout = make("div", { className: "readout" });
    readout.setAttribute("role", "status");
    const titles = { photo: "photo", style: "style", result: "result", difference: "result − style" };
    let order = [], entries = {};
    const act = { point, choose: point };
    const maps = Object.fromEntries(Object.keys(titles).map(name => [name, heatMap(`Style matrix: ${titles[name]}`, act)]));
    const figures = Object.entries(maps).map(([name, { face }]) =>
      make("figure", { className: "stack" }, face, make("figcaption", { textContent: titles[name] })));
    element.replaceChildren(bars, words, make("div", { className: "stacks four" }, ...figures), readout);

    function point(row, column) {
      for (const map of Object.values(maps)) map.mark(row, column);
      const [k, m] = [order[row], order[column]];
      readout.innerHTML = `${names(k, m)}: ${Object.keys(titles).map(name => `${titles[name]} ${value(entries[name](k, m), name)}`).join(", ")}`;
    }

    return {
      needs: ["cost"],
      draw(cost) {
        order = cost.order;
        entries = Object.fromEntries(Object.entries(cost.matrices).map(([name, packed]) => [name, lesson.matrixOf(packed)]));
        entries.difference = (k, m) => entries.result(k, m) - entries.style(k, m);
        for (const [name, map] of Object.entries(maps)) {
          map.draw(order.length);
          lesson.heat(map.canvas, entries[name], order, cost.largest, "square root", name === "difference");
        }
        const longest = Math.max(...cost.costs.flatMap(([, before, after]) => [before, after]));
        const row = (label, amount, kind) => `<span>${label}</span><span class="track"><span class="${kind}"
          style="width: ${(100 * amount) / longest}%"></span></span><b data-value="${amount}">${amount < 0.001 ? number(amount, 2) : +amount.toPrecision(3)}</b>`;
        bars.innerHTML = cost.costs.map(([layer, before, after]) =>
          `<div class="pair"><strong>${layer}</strong>${row("photo", before, "before")}${row("result", after, "after")}</div>`).join("");
        const [, before, after] = cost.costs.find(([layer]) => layer === cost.layer);
        words.innerHTML = after < before
          ? `In ${cost.layer} the photo begins at ${number(before, 3)}; the result comes to ${number(after, 3)},
             ${number(before / after, 2)} times less. At 0 it would have exactly the style's matrix.`
          : `In ${cost.layer} the photo's cost is ${number(before, 3)} and the result's ${number(after, 3)}: the run did not
             bring this layer nearer to the style. At 0 it would have exactly the style's matrix.`;
        const most = order.reduce((best, k, at) => (entries.style(k, k) > entries.style(order[best], order[best]) ? at : best), 0);
        point(most, most);
      },
    };
  };
})();
