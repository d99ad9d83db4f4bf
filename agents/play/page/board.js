// Boards as SVG: one cell is one unit. Which cells can be clicked, and what for, is said by the server.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The middle of a cell. Rows of hexagons are half a cell further to the right each, and closer together.
function middle(drawing, cell) {
  const row = Math.floor(cell / drawing.columns), column = cell % drawing.columns;
  if (drawing.style === "hex") return [column + 0.5 + row / 2, (row * Math.sqrt(3)) / 2 + 0.6];
  return [column + 0.5, row + 0.5];
}

function hexagon([x, y], radius = 1 / Math.sqrt(3)) {
  const corners = [30, 90, 150, 210, 270, 330].map((degrees) => {
    const angle = (degrees * Math.PI) / 180;
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });
  return corners;
}

const joined = (points) => points.map((point) => point.map((number) => number.toFixed(4)).join(",")).join(" ");

function area(drawing, cell, attributes) {
  const [x, y] = middle(drawing, cell);
  if (drawing.style === "hex") return element("polygon", { points: joined(hexagon([x, y])), ...attributes });
  return element("rect", { x: x - 0.5, y: y - 0.5, width: 1, height: 1, ...attributes });
}

function ground(drawing) {
  const { style, rows, columns } = drawing, parts = [];
  const cells = [...Array(rows * columns).keys()];
  if (style === "stones") {
    parts.push(element("rect", { x: 0, y: 0, width: columns, height: rows, class: "field" }));
    for (let row = 0; row < rows; row++)
      parts.push(element("line", { x1: 0.5, x2: columns - 0.5, y1: row + 0.5, y2: row + 0.5, class: "grid" }));
    for (let column = 0; column < columns; column++)
      parts.push(element("line", { y1: 0.5, y2: rows - 0.5, x1: column + 0.5, x2: column + 0.5, class: "grid" }));
    return parts;
  }
  for (const cell of cells) {
    const dark = style === "pieces" && (Math.floor(cell / columns) + (cell % columns)) % 2;
    parts.push(area(drawing, cell, { class: dark ? "field dark" : "field" }));
    const [x, y] = middle(drawing, cell);
    if (style === "drop") parts.push(element("circle", { cx: x, cy: y, r: 0.4, class: "hole" }));
  }
  if (style === "hex") {
    // the first seat connects the upper and the lower edge, the second one the left and the right
    const edge = (cells, corners, name) => {
      const points = cells.flatMap((cell) => corners.map((corner) => hexagon(middle(drawing, cell))[corner]));
      parts.push(element("polyline", { points: joined(points), class: name }));
    };
    const across = [...Array(columns).keys()], down = [...Array(rows).keys()];
    edge(down.map((row) => row * columns), [3, 2, 1], "edge2");
    edge(down.map((row) => row * columns + columns - 1), [4, 5, 0], "edge2");
    edge(across, [3, 4, 5], "edge1");
    edge(across.map((column) => (rows - 1) * columns + column), [2, 1, 0], "edge1");
  }
  return parts;
}

function stone(drawing, cell, seat) {
  const [x, y] = middle(drawing, cell);
  if (drawing.style !== "marks") {
    const radius = { drop: 0.4, discs: 0.4, hex: 0.36, pieces: 0.34, stones: 0.46 }[drawing.style];
    return element("circle", { cx: x, cy: y, r: radius, class: `seat${seat}` });
  }
  if (seat === 2) return element("circle", { cx: x, cy: y, r: 0.28, class: "mark2" });
  const d = `M${x - 0.26} ${y - 0.26}L${x + 0.26} ${y + 0.26}M${x + 0.26} ${y - 0.26}L${x - 0.26} ${y + 0.26}`;
  return element("path", { d, class: "mark1" });
}

function rim(drawing) {
  const parts = [], { rows, columns } = drawing;
  drawing.files.forEach((file, column) => {
    const [x, y] = middle(drawing, (rows - 1) * columns + column);
    parts.push(element("text", { x, y: y + 0.82, class: "rim" }, file));
  });
  drawing.ranks.forEach((rank, row) => {
    const [x, y] = middle(drawing, row * columns);
    parts.push(element("text", { x: x - 0.85, y, class: "rim" }, rank));
  });
  return parts;
}

function write(drawing, cell, text, name) {
  const [x, y] = middle(drawing, cell);
  return element("text", { x, y, class: name }, text);
}

// A board with its stones. `above` is room for columns of bars; `extras(svg, middle)` may paint on top.
export function board(drawing, cells, above = 0) {
  const hex = drawing.style === "hex";
  const width = drawing.columns + (hex ? (drawing.rows - 1) / 2 : 0) + 0.9;
  const height = (hex ? (drawing.rows * Math.sqrt(3)) / 2 + 0.4 : drawing.rows) + 0.75 + above;
  const svg = element("svg", { viewBox: `-0.75 ${-0.15 - above} ${width} ${height}`, class: drawing.style });
  svg.append(...ground(drawing), ...rim(drawing));
  cells.forEach((seat, cell) => seat && svg.append(stone(drawing, cell, seat)));
  return svg;
}

// Rings around the cell where a move arrived, a tint on the one that it left.
export function mark(svg, drawing, places) {
  places.forEach((cell, index) => {
    const [cx, cy] = middle(drawing, cell);
    if (index < places.length - 1) return svg.append(area(drawing, cell, { class: "picked" }));
    for (const [r, name] of [[0.44, "last"], [0.39, "last inner"]]) svg.append(element("circle", { cx, cy, r, class: name }));
  });
}

// Something to click on every cell. `open` are those that begin or go on with a legal move, `picked` the ones chosen.
export function clickable(svg, drawing, open, picked, hint, click) {
  for (const cell of picked) svg.append(area(drawing, cell, { class: "picked" }));
  for (let cell = 0; cell < drawing.rows * drawing.columns; cell++) {
    const [cx, cy] = middle(drawing, cell);
    if (hint && open.has(cell)) svg.append(element("circle", { cx, cy, r: 0.1, class: "dot" }));
    const file = drawing.files[cell % drawing.columns], rank = drawing.ranks[Math.floor(cell / drawing.columns)];
    const hit = area(drawing, cell, {
      class: open.has(cell) ? "hit open" : "hit",
      "data-cell": cell,
      role: "button",
      "aria-label": file + rank,
      ...(open.has(cell) ? { tabindex: 0 } : {}),
    });
    hit.addEventListener("click", () => click(cell));
    hit.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && click(cell));
    svg.append(hit);
  }
}

// How much each move was looked at: bars over columns, discs on cells, arrows from cell to cell.
export function shares(drawing, cells, moves) {
  const drop = drawing.style === "drop";
  const svg = board(drawing, cells, drop ? 2.2 : 0);
  const most = Math.max(...moves.map((move) => move.share), 1e-9);
  for (const move of moves) {
    const percent = `${Math.round(100 * move.share)}`, size = move.share / most;
    if (drop) {
      const x = move.clicks[0][0] % drawing.columns, height = 1.6 * size;
      svg.append(element("rect", { x: x + 0.2, y: -0.2 - height, width: 0.6, height, class: "heat" }));
      svg.append(element("text", { x: x + 0.5, y: -0.45 - height, class: "share" }, percent));
    } else if (move.clicks.length === 2) {
      if (percent === "0") continue;
      const [[x1, y1], [x2, y2]] = move.clicks.map(([cell]) => middle(drawing, cell));
      const strength = { "stroke-width": 0.05 + 0.2 * size, opacity: 0.35 + 0.5 * size, class: "arrow" };
      svg.append(element("line", { x1, y1, x2, y2, ...strength }));
    } else if (move.clicks.length === 1 && percent !== "0") {
      const [cx, cy] = middle(drawing, move.clicks[0][0]);
      svg.append(element("circle", { cx, cy, r: 0.12 + 0.33 * Math.sqrt(size), class: "heat", opacity: 0.25 + 0.55 * size }));
      svg.append(write(drawing, move.clicks[0][0], percent, "share"));
    }
  }
  return svg;
}

// The position that a line of moves leads to, with the number of each move where it went.
export function variation(drawing, cells, line) {
  const svg = board(drawing, cells);
  const number = new Map();
  line.forEach((move, index) => move.places.length && number.set(move.places.at(-1), index + 1));
  for (const [cell, count] of number) svg.append(write(drawing, cell, count, cells[cell] ? `on${cells[cell]}` : "share"));
  return svg;
}
