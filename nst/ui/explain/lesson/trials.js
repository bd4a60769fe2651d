// Step 6: the formula by hand, positions that do not count, and two guesses.
(() => {
  const lesson = window.nstLesson, { make, number, value } = lesson;

  // Give every position a new place: the same permutation for all maps.
  function shuffled(count) {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = Math.floor(Math.random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }

  lesson.kinds.toy = element => {
    const SIDE = 3, START = [[3, 0, 0, 3, 1, 0, 3, 0, 0], [2, 0, 1, 2, 0, 0, 1, 0, 0]];
    const grids = START.map((values, channel) => values.map((start, at) => {
      const input = make("input", { type: "number", value: start, min: 0, max: 99, step: 1, oninput: compute });
      input.setAttribute("aria-label", `channel ${channel + 1}, row ${Math.floor(at / SIDE) + 1}, column ${(at % SIDE) + 1}`);
      return input;
    }));
    const result = make("div", { className: "toy-matrix" }), sums = make("div", { className: "sums" });
    result.setAttribute("role", "status");
    const shuffle = make("button", { type: "button", className: "choice", textContent: "Shuffle the positions", onclick: mix });
    const reset = make("button", { type: "button", className: "choice", textContent: "Start again", onclick: begin });
    element.replaceChildren(
      make("p", { className: "do", innerHTML: "Change a number: which entries of <i>G</i> change? Then shuffle the positions." }),
      make("div", { className: "toy" },
        ...grids.map((inputs, channel) => make("figure", {},
          make("figcaption", { innerHTML: `<i>a<sub>ij${channel + 1}</sub></i>` }), make("div", { className: "grid" }, ...inputs))),
        make("figure", {}, make("figcaption", { innerHTML: "<i>G</i>" }), result)),
      make("div", { className: "chips words" }, shuffle, reset),
      sums,
    );
    const read = () => grids.map(inputs => inputs.map(input => +input.value || 0));
    function compute() {
      const a = read(), entry = (k, m) => a[k].reduce((sum, one, at) => sum + one * a[m][at], 0);
      result.innerHTML = [0, 1].map(k => [0, 1].map(m => `<span data-entry="${k}${m}">${entry(k, m)}</span>`).join("")).join("");
      const terms = (k, m) => a[k].map((one, at) => `${one}·${a[m][at]}`).join(" + ");
      sums.innerHTML = [[0, 0], [0, 1], [1, 1]].map(([k, m]) =>
        `<p><i>G</i><sub>${k + 1}${m + 1}</sub> = ${terms(k, m)} = <b>${entry(k, m)}</b></p>`).join("");
    }
    function write(values) {
      grids.forEach((inputs, channel) => inputs.forEach((input, at) => (input.value = values[channel][at])));
      compute();
    }
    function mix() {
      const a = read(), order = shuffled(SIDE * SIDE);
      write(a.map(values => order.map(from => values[from])));
    }
    function begin() { write(START); }
    begin();
    return { needs: [], draw() {} };
  };

  lesson.kinds.shuffle = element => {
    let data = null, maps = [], totals = null;
    const quiet = { point: () => {}, where: () => [0, 0] };
    const stacks = ["Channel k", "Channel k'"].map(label => lesson.stack(label, quiet));
    for (const { face } of stacks) {
      face.tabIndex = -1;
      face.setAttribute("role", "group");
    }
    const texture = make("img", { alt: "The style picture painted anew from its style matrices alone" });
    const painted = make("figure", { className: "stack painted" }, make("div", { className: "face" }, texture),
      make("figcaption", { textContent: "painted from noise by this style matrix alone" }));
    const told = make("div", { className: "readout" });
    told.setAttribute("role", "status");
    const press = make("button", { type: "button", className: "choice strong", textContent: "Shuffle the positions", onclick: mix });
    const back = make("button", { type: "button", className: "choice", textContent: "Put them back", onclick: begin });
    element.replaceChildren(make("div", { className: "chips words" }, press, back),
      make("div", { className: "stacks" }, ...stacks.map(stack => stack.root), painted), told);

    const entry = ([a, b]) => a.reduce((sum, one, at) => sum + one * b[at], 0);
    function show(now, words) {
      stacks.forEach((stack, index) => stack.fill(data, now[index], `channel ${[data.k, data.m][index]}${words}`));
    }
    function tell(now, moved) {
      const [before, after] = [entry(maps), entry(now)];
      const distance = now.reduce((sum, map, index) => sum + map.reduce((part, a, at) => part + (a - maps[index][at]) ** 2, 0), 0);
      const energy = maps.reduce((sum, map) => sum + map.reduce((part, a) => part + a * a, 0), 0) || 1;
      told.innerHTML = `<i>G<sub>kk'</sub></i> before ${value(before, "before")}, now ${value(after, "after")}: relative change
        ${value(Math.abs(after - before) / (before || 1), "change")}. Content cost of these two channels
        (1 = a block of zeros): ${value(distance / energy, "content")}.<br><small>The whole layer, computed with the
        functions of the run on one shuffle: no entry of the style matrix changes by more than
        ${value(totals.matrix_change, "matrix-change")} of the largest (the order of the sum in float32), while the content cost rises from 0 to
        ${value(totals.content_cost, "content-cost")}.</small>`;
    }
    function mix() {
      const order = shuffled(maps[0].length), now = maps.map(map => order.map(from => map[from]));
      show(now, ", shuffled");
      tell(now);
    }
    function begin() {
      show(maps, "");
      tell(maps);
    }
    return {
      needs: ["pair", "shuffle"],
      draw(pair, shuffle) {
        [data, totals] = [pair, shuffle];
        maps = data.maps.map(lesson.mapOf);
        painted.hidden = !shuffle.texture;
        if (shuffle.texture) texture.src = shuffle.texture;
        begin();
      },
    };
  };

  // Guesses: the answer is told at once, right or wrong, with the reason. No scores.
  lesson.kinds.guess = element => {
    const layers = make("div", { className: "cards" }), answer = make("p", { className: "answer" });
    const channels = make("div", { className: "cards duel" }), second = make("p", { className: "answer" });
    for (const said of [answer, second]) said.setAttribute("role", "status");
    element.replaceChildren(
      make("p", { className: "do", textContent: "Which layer painted this? Each picture was painted from noise by the style matrix of one layer." }),
      layers, answer,
      make("p", { className: "do", textContent: "Which of these two channels fires on the patch in the middle? Beside it: what excites each most." }),
      channels, second);

    function drawLayers({ cards, names, reasons }) {
      layers.replaceChildren(...cards.map(({ src, layer }, index) => {
        const image = make("img", { src, alt: `Picture ${index + 1}, painted by one layer` });
        const buttons = names.map(name => make("button", {
          type: "button", className: "choice", textContent: name, onclick: event => {
            for (const button of event.target.parentElement.children) button.classList.toggle("right", button.textContent === layer);
            event.target.classList.toggle("wrong", name !== layer);
            answer.innerHTML = `<b>${name === layer ? "Yes" : "No"}: picture ${index + 1} is ${layer}.</b> ${reasons[layer]}`;
          },
        }));
        return make("div", { className: "card" }, image, make("div", { className: "chips words" }, ...buttons));
      }));
      answer.textContent = "Choose a layer under a picture; the answer says by what one recognises it.";
    }
    function drawDuel({ duel, pictured }) {
      const image = make("img", { src: pictured.picture.src }), { sides, patch, right } = duel;
      const tile = ([row, column], side) => {
        const canvas = make("canvas");
        lesson.drawBox(canvas, image, lesson.boxOf(pictured, row, column), side);
        return canvas;
      };
      const fill = () => {
        const side = (index) => make("div", { className: "card" },
          make("div", { className: "patches" }, ...sides[index].patches.map(at => tile(at, 48))),
          make("button", { type: "button", className: "choice", textContent: `channel ${sides[index].channel}`, onclick: () => {
            const [winner, loser] = [sides[right], sides[1 - right]];
            second.innerHTML = `<b>${index === right ? "Yes" : "No"}.</b> There <i>a<sub>ijk</sub></i> is ${number(winner.value, 3)}
              for channel ${winner.channel} and ${number(loser.value, 3)} for channel ${loser.channel}, ${
              Math.round(100 * winner.share)} % and ${Math.round(100 * loser.share)} % of the largest value that each reaches in this picture.`;
          } }));
        channels.replaceChildren(side(0), make("div", { className: "card asked" }, tile(patch, 112)), side(1));
        second.textContent = "Choose a channel.";
      };
      image.decode().then(fill, fill);
    }
    return {
      needs: ["guess"],
      draw(guess) {
        drawLayers(guess);
        drawDuel(guess);
      },
    };
  };
  for (const waiting of window.nstWaiting || []) lesson.mount(...waiting);
  window.nstWaiting = { push: waiting => lesson.mount(...waiting) };
})();
