"use strict";
// Is the map right? Its hottest pixels are blanked, and as many random ones.

function blanked(places) {
  const image = pixels.slice(),
    c = network.input[2];
  for (const place of places) image.fill(state.ground, place * c, place * c + c);
  return image;
}
function check() {
  const { head, map, target } = (found || []).find((one) => one.head.name === state.head) || {};
  if (!map) return;
  const count = Math.round(SHARE * map.heat.length),
    random = randomOf(2);
  const places = [...map.heat.keys()],
    of = new Map();
  const asked = (image) => {
    network.run(image);
    for (const one of found) {
      const values = network.answers(one.head),
        list = of.get(one) || [];
      of.set(one, [...list, values[one.target]]);
    }
  };
  const hottest = [...places].sort((a, b) => map.heat[b] - map.heat[a]).slice(0, count);
  asked(blanked(hottest));
  for (let draw = 0; draw < DRAWS; draw++) {
    const order = places.map((place) => [random(), place]).sort((a, b) => a[0] - b[0]);
    asked(blanked(order.slice(0, count).map((pair) => pair[1])));
  }
  network.run(pixels);
  const picture = make("canvas", { width: 1, height: 1, className: "small" });
  picture.setAttribute("aria-label", "the image without its hottest pixels");
  Paint.image(picture, blanked(hottest), network.input);
  const cell = (one, value) =>
    make("td", {}, one.head.outputs === "numbers" ? value.toPrecision(3) : percent(value));
  const rows = found.map((one) => {
    const [hot, ...others] = of.get(one),
      mean = others.reduce((a, b) => a + b) / DRAWS;
    const name = `${nameOf(one.head)} “${one.head.names[one.target]}”`;
    const cells = [one.answers[one.target], hot, mean].map((value) => cell(one, value));
    return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
  });
  const [hot, ...others] = of.get(found.find((one) => one.head === head)),
    random_ = others.reduce((a, b) => a + b) / DRAWS,
    [lower, other] = [hot, random_].map((value) => cell({ head }, value).textContent);
  const verdict = `${hot < random_ ? "Yes" : "No"}: blanked, it falls to ${lower}; random pixels, to ${other}.`;
  const titles = ["", "original", `${count} hottest blanked`, `${count} random blanked`];
  const head_ = make("tr", {}, ...titles.map((text) => make("th", { scope: "col" }, text)));
  $("checked").replaceChildren(
    make("h2", {}, "Is the map right?"),
    make(
      "p",
      {},
      `If the network looks where ${nameOf(head)} “${head.names[target]}” is hot, blanking the ${count} ` +
        `hottest pixels should lower the answer more than blanking ${count} random ones (mean of ${DRAWS} draws).`,
    ),
    make("p", {}, make("b", {}, verdict)),
    make("div", { className: "result" }, make("table", {}, head_, ...rows), picture),
  );
  $("said").textContent = verdict;
}
