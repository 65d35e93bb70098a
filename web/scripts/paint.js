"use strict";
// Pictures: canvases of pixels through a colormap, nothing else.
const Paint = (() => {
  // Nine colors of Matplotlib's inferno and viridis each, and the ends of a diverging map.
  const MAPS = {
    inferno: [
      "000004",
      "210c4a",
      "57106e",
      "8a226a",
      "bc3754",
      "e45a31",
      "f98e09",
      "f9cb35",
      "fcffa4",
    ],
    viridis: [
      "440154",
      "472d7b",
      "3b528b",
      "2c728e",
      "21918c",
      "28ae80",
      "5ec962",
      "addc30",
      "fde725",
    ],
    signed: [
      "053061",
      "4393c3",
      "92c5de",
      "d1e5f0",
      "f7f7f7",
      "fddbc7",
      "f4a582",
      "d6604d",
      "67001f",
    ],
  };
  const TABLES = {};
  for (const [name, colors] of Object.entries(MAPS)) {
    const table = (TABLES[name] = new Uint8Array(3 * 256));
    const rgb = colors.map((text) => [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16)));
    for (let i = 0; i < 256; i++) {
      const place = (i / 255) * 8,
        low = Math.min(7, Math.floor(place));
      for (let k = 0; k < 3; k++)
        table[3 * i + k] = rgb[low][k] + (place - low) * (rgb[low + 1][k] - rgb[low][k]);
    }
  }

  const color = (name, share) => {
    const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
    return TABLES[name].subarray(at, at + 3);
  };

  // Fills a canvas of the pixels' own size; CSS makes it larger. `of(x, y)` gives [r, g, b].
  function fill(canvas, width, height, of) {
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d"),
      picture = context.createImageData(width, height);
    for (let y = 0, at = 0; y < height; y++)
      for (let x = 0; x < width; x++, at += 4) {
        const rgb = of(x, y);
        picture.data[at] = rgb[0];
        picture.data[at + 1] = rgb[1];
        picture.data[at + 2] = rgb[2];
        picture.data[at + 3] = 255;
      }
    context.putImageData(picture, 0, 0);
  }

  // An image (bytes), with heat 0..1 laid over it if there is any.
  function image(canvas, pixels, [height, width, channels], heat) {
    fill(canvas, width, height, (x, y) => {
      const at = (y * width + x) * channels;
      const rgb = channels === 1 ? [0, 0, 0].fill(pixels[at]) : pixels.subarray(at, at + 3);
      if (!heat) return rgb;
      const value = heat[y * width + x],
        opacity = 0.7 * value,
        hot = color("inferno", value);
      return [0, 1, 2].map((k) => (1 - opacity) * rgb[k] + opacity * hot[k]);
    });
  }

  function heat(canvas, values, [height, width], scale = 1) {
    fill(canvas, width, height, (x, y) => color("inferno", values[y * width + x] * scale));
  }

  // Channels (h, w, k) side by side, `columns` in a row, on one scale; returns its ends.
  function channels(canvas, values, [height, width, count], columns, border) {
    let low = 0,
      high = 0;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const most = Math.max(high, -low) || 1,
      map = low < 0 ? "signed" : "viridis";
    const share = (value) => (low < 0 ? (value / most + 1) / 2 : value / (high || 1));
    const rows = Math.ceil(count / columns),
      wide = width + border,
      tall = height + border;
    const empty = [128, 128, 128];
    fill(canvas, columns * wide - border, rows * tall - border, (x, y) => {
      const column = Math.floor(x / wide),
        row = Math.floor(y / tall);
      const left = x - column * wide,
        top = y - row * tall,
        k = row * columns + column;
      if (left >= width || top >= height || k >= count) return empty;
      return color(map, share(values[(top * width + left) * count + k]));
    });
    return low < 0 ? [-most, most] : [0, high];
  }

  // Kernels (h, w, c, k) as colors, or gray, on one scale about 0.
  function kernels(canvas, kernel, [height, width, c, count], columns) {
    const most = kernel.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    const rows = Math.ceil(count / columns),
      wide = width + 1,
      tall = height + 1;
    fill(canvas, columns * wide - 1, rows * tall - 1, (x, y) => {
      const column = Math.floor(x / wide),
        row = Math.floor(y / tall);
      const left = x - column * wide,
        top = y - row * tall,
        k = row * columns + column;
      if (left >= width || top >= height || k >= count) return [255, 255, 255];
      const at = (channel) => kernel[((top * width + left) * c + channel) * count + k] / most;
      if (c !== 3) return color("signed", (at(0) + 1) / 2);
      return [0, 1, 2].map((channel) => 127.5 + 127.5 * at(channel));
    });
  }

  return { image, heat, channels, kernels, color };
})();
