"use strict";
// Lines on black, every pixel the exact area that the line covers: as `cnnlab.lines.render`, byte
// for byte. A rectangle's area inside a pixel is a sum over its edges, in closed form.
(function (root) {
  const round12 = (x) => Math.round(x * 1e12) / 1e12;
  const roundEven = (x) => {
    const low = Math.floor(x),
      rest = x - low;
    return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
  };

  // Cosine and sine of an angle in degrees; near an axis the line lies on it.
  function direction(angle) {
    const turned = (angle * Math.PI) / 180;
    const cos = round12(Math.cos(turned)),
      sin = round12(Math.sin(turned));
    if (Math.abs(sin) < 1e-6) return [Math.sign(cos), 0];
    if (Math.abs(cos) < 1e-6) return [0, 1];
    return [cos, sin];
  }

  // Half the width and half the height of the box around a line.
  function halfExtent(length, width, angle) {
    const [cos, sin] = direction(angle).map(Math.abs);
    return [(length * cos + width * sin) / 2, (length * sin + width * cos) / 2];
  }

  // Adds, for each pixel, how far an edge lies below each row's border, integrated over a column.
  function aboveEdge(sum, size, x, y, half, slope, sign) {
    const side = size + 1;
    for (let row = 0; row < side; row++)
      for (let column = 0; column < size; column++) {
        const squares = [column, column + 1].map((border) => {
          const end = Math.min(Math.max(border, x - half), x + half);
          const distance = Math.max(y + slope * (end - x) - row, 0);
          return distance * distance;
        });
        sum[row * size + column] += (squares[1] - squares[0]) * (sign / (2 * slope));
      }
  }

  // The covered area of each pixel, (size * size) Float64Array; the line must fit.
  function coverage({ length, width, angle, x, y }, size) {
    const [cos, sin] = direction(angle),
      area = new Float64Array(size * size);
    if (cos === 0 || sin === 0) {
      const [halfX, halfY] = halfExtent(length, width, angle);
      const overlap = (middle, half, border) =>
        Math.max(Math.min(middle + half, border + 1) - Math.max(middle - half, border), 0);
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++)
          area[row * size + column] = overlap(y, halfY, row) * overlap(x, halfX, column);
      return area;
    }
    const alongX = (length / 2) * cos,
      alongY = (-length / 2) * sin; // y points down
    const acrossX = (width / 2) * sin,
      acrossY = (width / 2) * cos;
    const above = new Float64Array((size + 1) * size);
    for (const side of [1, -1]) {
      const sign = side * Math.sign(cos);
      const long = [x + side * acrossX, y + side * acrossY];
      aboveEdge(above, size, ...long, Math.abs(alongX), -sin / cos, sign);
      const short = [x + side * alongX, y + side * alongY];
      aboveEdge(above, size, ...short, acrossX, cos / sin, -side);
    }
    for (let i = 0; i < area.length; i++) area[i] = above[i] - above[i + size];
    return area;
  }

  // Bytes (size * size * 3) of a line in a color of three bytes.
  function render(line, color, size = 28) {
    const area = coverage(line, size),
      pixels = new Uint8Array(3 * area.length);
    for (let i = 0; i < pixels.length; i++) pixels[i] = roundEven(area[(i / 3) | 0] * color[i % 3]);
    return pixels;
  }

  Object.assign(root, { direction, halfExtent, render });
})(typeof window === "undefined" ? module.exports : (window.Lines = {}));
