// What the agent thought of its last move: numbers as pictures.

import { element, shares, variation } from "./board.js";

const SHOWN = 8; // moves in the table

function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function headline(thought) {
  const searched = thought.simulations === null ? "" : `, ${thought.simulations} simulations`;
  return html("h2", {}, `${thought.player} played ${thought.label}${searched}`);
}

// What it expected for itself, between the worst and the best that can happen.
function gauge(view, thought) {
  const value = thought.value[thought.seat];
  const text = html("p", { id: "value" }, `Value for ${view.seats[thought.seat].name}: ${signed(value)}`);
  if (thought.proven) text.append(" (proven)");
  const others = thought.value.length > 2 ? ` (all: ${thought.value.map(signed).join(", ")})` : "";
  text.append(others);
  if (!view.range) return [text];
  const [low, high] = view.range;
  const x = (100 * (value - low)) / (high - low), zero = (100 * (0 - low)) / (high - low);
  const svg = element("svg", { viewBox: "0 0 100 5", class: "chart", preserveAspectRatio: "none" });
  svg.append(element("rect", { x: 0, y: 0, width: 100, height: 5, class: "back" }));
  svg.append(element("rect", { x: Math.min(x, zero), y: 0, width: Math.max(Math.abs(x - zero), 0.5), height: 5, class: "front" }));
  return [text, svg];
}

function table(thought) {
  const searched = thought.simulations !== null;
  const names = searched ? ["Move", "Visits", "", "Value", "Prior"] : ["Move", "Chance", ""];
  const head = html("tr", {}, ...names.map((name) => html("th", {}, name)));
  const most = Math.max(...thought.moves.map((move) => move.share), 1e-9);
  const rows = thought.moves.slice(0, SHOWN).map((move) => {
    const svg = element("svg", { viewBox: "0 0 100 10", class: "chart", preserveAspectRatio: "none" });
    svg.append(element("rect", { x: 0, y: 0, width: (100 * move.share) / most, height: 10, class: "front" }));
    const number = searched ? String(move.visits) : percent(move.share);
    const cells = [html("td", {}, move.label), html("td", { class: "visits" }, number), html("td", { class: "bar" }, svg)];
    if (searched) {
      cells.push(html("td", {}, move.value === null ? "" : signed(move.value)));
      cells.push(html("td", {}, percent(move.prior)));
    }
    return html("tr", {}, ...cells);
  });
  const made = html("table", { id: "visits" }, head, ...rows);
  const more = thought.moves.length - rows.length;
  return more > 0 ? [made, html("p", { class: "quiet" }, `and ${more} more`)] : [made];
}

function expected(view, thought) {
  if (!thought.line.length) return [];
  const words = thought.line.map((move) => move.label).join("  ");
  const made = [html("h3", {}, "The line it expected"), html("p", { id: "line" }, words)];
  if (view.drawing) made.push(variation(view.drawing, thought.after, thought.line));
  return made;
}

// What agents expected for themselves, through the game: one curve for each seat.
function course(view) {
  const seats = [...new Set(view.values.map(([, seat]) => seat))].sort();
  if (!view.range || view.values.length < 2) return [];
  const [low, high] = view.range, width = 300, tall = 80, last = Math.max(view.ply, 2);
  const place = ([ply, , value]) => [(width * ply) / last, 5 + ((tall - 10) * (high - value)) / (high - low)];
  const svg = element("svg", { viewBox: `-32 0 ${width + 36} ${tall}`, class: "chart", id: "course" });
  for (const value of [low, (low + high) / 2, high]) {
    const y = place([0, 0, value])[1];
    svg.append(element("line", { x1: 0, x2: width, y1: y, y2: y, class: "axis" }));
    svg.append(element("text", { x: -6, y, class: "scale" }, signed(value)));
  }
  seats.forEach((seat, index) => {
    const points = view.values.filter((value) => value[1] === seat).map(place), name = index ? " second" : "";
    svg.append(element("polyline", { points: points.map((point) => point.join(",")).join(" "), class: `curve${name}` }));
    for (const [cx, cy] of points) svg.append(element("circle", { cx, cy, r: 2.5, class: `point${name}` }));
  });
  const names = seats.map((seat) => view.seats[seat].name).join(" and ");
  return [html("h3", {}, `Values through the game, for ${names}`), svg];
}

export function panel(view) {
  const thought = view.thought;
  if (!thought) return [html("h2", {}, "What the agent thinks"), html("p", { class: "quiet" }, silence(view))];
  const parts = [headline(thought)];
  if (thought.value) parts.push(...gauge(view, thought));
  if (thought.moves.length) {
    parts.push(html("h3", {}, thought.simulations === null ? "Chances of its moves, in %" : "Where it looked, in %"));
    if (view.drawing) parts.push(shares(view.drawing, thought.before, thought.moves));
    parts.push(...table(thought));
  } else {
    parts.push(html("p", { class: "quiet" }, "This player tells nothing but its move."));
  }
  return [...parts, ...expected(view, thought), ...course(view)];
}

function silence(view) {
  if (view.hidden) return "It is told when the game is over: it would give away what you can't see.";
  return "It has not moved yet.";
}
