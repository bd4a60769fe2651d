// Steps 1 and 2: one channel, and two of them, with the numbers of the position under the pointer.
(() => {
  const lesson = window.nstLesson, { make, number, value, symbol } = lesson;
  const where = (row, column) => `position <i>i</i> = ${row + 1}, <i>j</i> = ${column + 1}`;
  const live = className => {
    const element = make("div", { className });
    element.setAttribute("role", "status");
    return element;
  };

  lesson.kinds.channel = (element, ask) => {
    const chips = make("div", { className: "chips" }), patches = make("div", { className: "patches" });
    const readout = live("readout"), patch = make("canvas", { className: "patch" });
    let spot = [0, 0], map = null, data = null;
    const stack = lesson.stack("Where the channel fires", { point, where: () => spot });
    const under = make("div", { className: "under" }, patch, readout);
    const note = make("p", { className: "small" });
    element.replaceChildren(
      make("div", { className: "columns" },
        make("div", { className: "side" }, make("p", { className: "do", innerHTML: "Choose one of the strongest channels:" }), chips,
          make("p", { className: "do", innerHTML: "What excites it most:" }), patches, note, under),
        make("div", { className: "main" }, stack.root)),
    );

    function point(row, column) {
      spot = [row, column];
      stack.mark(row, column);
      lesson.drawBox(patch, stack.image, lesson.boxOf(data, row, column), 96);
      const a = map[row * data.grid[1] + column];
      readout.innerHTML = `${where(row, column)}<br>${symbol("")} = ${value(a, "k")} for <i>k</i> = ${data.k}<br>
        <small>${a ? `${Math.round((100 * a) / largest())} % of its largest value in this picture.` : "It does not fire here."}
        Left: the ${data.field[0]} × ${data.field[0]} px seen from here.</small>`;
    }
    const largest = () => map.reduce((most, a) => Math.max(most, a), 0);

    return {
      needs: ["channel"],
      draw(channel) {
        data = channel;
        map = lesson.mapOf(data.map);
        stack.fill(data, map, `channel <i>k</i> = ${data.k} of ${data.layer}: ${data.grid[0]} × ${data.grid[1]} positions`);
        const tiles = (items, side, press) => items.map(([row, column]) => {
          const tile = make("canvas");
          lesson.drawBox(tile, stack.image, lesson.boxOf(data, row, column), side);
          return tile;
        });
        const fill = () => {
          const items = data.choices.map(([k, ...at]) => ({ name: k, key: { k }, content: [...tiles([at], 56), make("span", { textContent: k })] }));
          chips.replaceChildren(...lesson.choices(items, data.k, ask));
          patches.replaceChildren(...tiles(data.patches, 64));
          note.innerHTML = data.patches.length
            ? `Each patch is the ${data.field[0]} × ${data.field[0]} px that one position sees; grey lies outside of the picture.`
            : "This channel does not fire in this picture.";
          point(...(data.patches[0] || [0, 0]));
        };
        stack.image.decode().then(fill, fill);
      },
    };
  };

  lesson.kinds.pair = (element, ask) => {
    const buttons = make("div", { className: "chips words" }), relation = make("p"), readout = live("readout");
    const sum = live("sum"), bar = make("div", { className: "bar" }, make("div"));
    const patch = make("canvas", { className: "patch" });
    const slider = make("input", { type: "range", min: 0, max: 100, value: 0 });
    slider.setAttribute("aria-label", "Let the area grow from this position to the whole picture");
    let spot = [0, 0], chosen = null, data = null, maps = [];
    const act = { point, drag, where: () => spot };
    const stacks = ["Channel k", "Channel k'", "Both together: the product"].map(label => lesson.stack(label, act));
    element.replaceChildren(
      buttons,
      make("div", { className: "stacks" }, ...stacks.map(stack => stack.root)),
      make("div", { className: "under" }, patch, readout,
        make("div", { className: "adding" },
          make("label", {}, "Area: drag a rectangle on a map, or let it grow ", slider), bar, sum)),
      relation,
    );
    const typed = ["k", "k'"].map(name => make("input", { type: "number", min: 0, onchange: retype }));
    const labels = typed.map((input, index) => make("label", { innerHTML: `<i>${["k", "k'"][index]}</i> ` }, input));
    function retype() {
      ask({ k: Math.round(+typed[0].value), m: Math.round(+typed[1].value) });
    }
    slider.addEventListener("input", () => grow(slider.value / 100));

    function point(row, column) {
      spot = [row, column];
      lesson.drawBox(patch, stacks[0].image, lesson.boxOf(data, row, column), 96);
      const at = row * data.grid[1] + column, [a, b] = maps.map(map => map[at]);
      readout.innerHTML = `${where(row, column)}<br>${symbol("")} ${symbol("'")} = ${value(a, "k")} · ${value(b, "m")} = ${value(a * b, "product")}<br>
        <small>Left: the ${data.field[0]} × ${data.field[0]} px seen from here.</small>`;
      mark();
    }
    function drag([top, left], [bottom, right]) {
      chosen = { top: Math.min(top, bottom), bottom: Math.max(top, bottom), left: Math.min(left, right), right: Math.max(left, right) };
      add();
      mark();
    }
    function grow(share) {
      const [rows, columns] = data.grid, [row, column] = spot, reach = Math.ceil(share * Math.max(rows, columns));
      chosen = { top: Math.max(0, row - reach), bottom: Math.min(rows - 1, row + reach),
                 left: Math.max(0, column - reach), right: Math.min(columns - 1, column + reach) };
      add();
      mark();
    }
    function mark() {
      for (const stack of stacks) stack.mark(...spot, chosen);
    }
    function add() {
      const columns = data.grid[1], all = data.grid[0] * columns;
      let partial = 0, count = 0;
      for (let row = chosen.top; row <= chosen.bottom; row++)
        for (let column = chosen.left; column <= chosen.right; column++, count++)
          partial += maps[0][row * columns + column] * maps[1][row * columns + column];
      const share = data.entry ? partial / data.entry : 0;
      bar.firstChild.style.width = `${100 * share}%`;
      sum.innerHTML = `Sum of the products over ${count} of ${all} positions: ${value(partial, "partial")}, that is
        ${(100 * share).toPrecision(3)} % of the entry <i>G<sub>kk'</sub></i> = ${value(data.entry, "entry")}`;
    }

    return {
      needs: ["pair"],
      draw(pair) {
        data = pair;
        maps = data.maps.map(lesson.mapOf);
        const product = maps[0].map((a, at) => a * maps[1][at]);
        stacks[0].fill(data, maps[0], `<i>a<sub>ijk</sub></i>, channel <i>k</i> = ${data.k}`);
        stacks[1].fill(data, maps[1], `<i>a<sub>ijk'</sub></i>, channel <i>k'</i> = ${data.m}`);
        stacks[2].fill(data, product, `their product; its sum is <i>G<sub>kk'</sub></i>`);
        const items = data.pairs.map(([k, m]) => ({ name: `${k} and ${m}`, key: { k, m }, content: [`${k} and ${m}`] }));
        [typed[0].value, typed[1].value] = [data.k, data.m];
        buttons.replaceChildren(...labels, make("span", { textContent: "Strongest pairs:" }), ...lesson.choices(items, `${data.k} and ${data.m}`, ask));
        relation.innerHTML = `${data.relation} ${whyLarge(data)}`;
        slider.value = 0;
        const best = product.indexOf(product.reduce((most, a) => Math.max(most, a), 0));
        const begin = () => {
          spot = [Math.floor(best / data.grid[1]), best % data.grid[1]];
          grow(0.15);
          point(...spot);
          slider.value = 15;
        };
        stacks[0].image.decode().then(begin, begin);
      },
    };
  };

  function whyLarge({ entry, share_of_means: share, k, m }) {
    if (!entry || k === m) return "";
    return `No mean is subtracted in <i>G<sub>kk'</sub></i>: the two means alone, <i>n<sub>H</sub> n<sub>W</sub></i> times
      their product, give ${Math.round(100 * share)} % of the entry ${number(entry)}; ${
      share < 1 ? "the rest comes from places where both fire more than usual." : "the two avoid each other, which makes it smaller."}`;
  }
})();
