"use strict";
// The angle around the circle: what the angle head says to a line of every angle.

let turning = 0;
function circle() {
  const head = headOf("angle"),
    place = $("circle");
  if (state.mode !== "lines" || !head) return place && place.replaceChildren();
  const turn = ++turning,
    svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-1.25 -1.2 2.5 1.4");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "which angle is read, for lines of all angles");
  const at = (degrees, r) =>
    [r * Math.cos((degrees * Math.PI) / 180), -r * Math.sin((degrees * Math.PI) / 180)].map((v) =>
      v.toFixed(4),
    );
  head.names.forEach((name, k) => {
    const degrees = (180 * k) / head.names.length,
      [x, y] = at(degrees, 1.1);
    const text = drawnIn(svg, "text", {
      x,
      y,
      "font-size": 0.1,
      "text-anchor": "middle",
      fill: "currentColor",
    });
    text.textContent = name;
  });
  const words = make(
    "div",
    {},
    make("h2", {}, "Which angle does the network answer?"),
    make(
      "p",
      {},
      "The same line at every angle: the color of a wedge is the angle that the network answers, its " +
        "length the probability. Ideally it changes halfway between two classes.",
    ),
  );
  let next = 0,
    rights = 0;
  const step = (deadline) => {
    if (turn !== turning) return;
    while (next < 180 && deadline.timeRemaining() > 4) {
      network.run(drawnLine({ ...state.line, angle: next }));
      const answers = network.answers(head),
        k = best(answers),
        share = answers[k];
      rights += Math.round(next / 15) % 12 === k;
      const [a, b] = [at(next - 0.5, share), at(next + 0.5, share)];
      drawnIn(svg, "path", { d: `M0 0L${a}L${b}Z`, fill: `hsl(${k * 30} 65% 52%)` });
      next++;
    }
    if (pixels) network.run(pixels);
    if (next < 180) return requestIdleCallback(step, { timeout: 500 });
    const [x, y] = at(state.line.angle, 1.02);
    drawnIn(svg, "line", {
      x1: 0,
      y1: 0,
      x2: x,
      y2: y,
      stroke: "currentColor",
      "stroke-width": 0.02,
    });
    words.append(make("p", {}, `${rights} of 180 angles are read as the nearest class.`));
    place.replaceChildren(svg, words);
  };
  requestIdleCallback(step, { timeout: 500 });
}
window.requestIdleCallback ||= (work) => setTimeout(() => work({ timeRemaining: () => 12 }), 1);
