// The page: shows what the server says there is to see, and asks it to do what was clicked.

import { board, clickable, mark } from "./board.js";
import { panel } from "./panel.js";

const $ = (id) => document.getElementById(id);
const KEY = "session";
let view = null; // what was seen last
let busy = false; // a request is on its way
let picked = []; // cells clicked so far, of a move that takes several

async function ask(path, body) {
  const request = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer, content;
  try {
    answer = await fetch(path, request);
    content = await answer.json();
  } catch {
    return { failed: true, error: "The server does not answer. Was it stopped?" };
  }
  return answer.ok ? { view: content } : { status: answer.status, ...content };
}

async function begin() {
  const { view: begun, error } = await ask("/sessions", {});
  if (begun) sessionStorage.setItem(KEY, begun.session);
  else say(error);
  return begun;
}

// Ask for a deed, show what came of it, and let the agent reply where it is its turn.
async function act(deed, more = {}) {
  if (busy) return say("One moment: the agent is still thinking.");
  busy = true;
  picked = [];
  say("");
  show();
  const answer = await ask(`/sessions/${sessionStorage.getItem(KEY)}/${deed}`, { turn: view.turn, ...more });
  busy = false;
  if (answer.status === 404) return start("That game was not there any more: here is a new one.");
  if (answer.view) view = answer.view;
  show();
  if (answer.error) return say(answer.error);
  await reply();
}

async function reply() {
  if (view.person !== null && view.seat !== null && view.seat !== view.person) await act("reply");
}

function click(cell) {
  if (view.seat === null) return say("The game is over. Undo, or begin a new one.");
  if (view.seat !== view.person || busy) return say(view.person === null ? "You are watching: press Step." : "It is not your turn yet.");
  const fits = (move, cells) => cells.every((each, stage) => move.clicks[stage]?.includes(each));
  let chosen = [...picked, cell];
  let moves = view.moves.filter((move) => fits(move, chosen));
  if (!moves.length && picked.length) {
    chosen = [cell]; // another beginning
    moves = view.moves.filter((move) => fits(move, chosen));
  }
  if (!moves.length) {
    picked = [];
    show();
    return say(`That is not a legal move here${view.board[cell] ? "" : ": nothing of yours can go there"}. Please try another cell.`);
  }
  const done = moves.find((move) => move.clicks.length === chosen.length);
  if (done) return act("play", { action: done.action });
  picked = chosen;
  say("");
  show();
}

function say(message) {
  $("message").textContent = message ?? "";
}

function showBoard() {
  const { drawing } = view;
  $("text").hidden = Boolean(drawing);
  if (!drawing) {
    $("text").textContent = view.text;
    $("board").replaceChildren();
    return;
  }
  const svg = board(drawing, view.board);
  if (view.last) mark(svg, drawing, view.last.places);
  const going = view.moves.filter((move) => picked.every((cell, stage) => move.clicks[stage].includes(cell)));
  const open = new Set(busy ? [] : going.flatMap((move) => move.clicks[picked.length] ?? []));
  const hint = drawing.style === "discs" || (drawing.style === "pieces" && picked.length > 0);
  clickable(svg, drawing, open, picked, hint, click);
  $("board").replaceChildren(svg);
}

// Moves that have no place on the board: passing; all of them, where there is no board.
function showMoves() {
  const placeless = view.moves.filter((move) => !view.drawing || !move.clicks.length);
  $("moves").replaceChildren(
    ...placeless.map((move) => {
      const button = document.createElement("button");
      button.textContent = move.label;
      button.dataset.action = move.action;
      button.disabled = busy;
      button.addEventListener("click", () => act("play", { action: move.action }));
      return button;
    }),
  );
}

function showStrengths() {
  $("strengths").replaceChildren(
    ...view.strengths.map(({ player, name, simulations, choices }) => {
      const label = document.createElement("label"), slider = document.createElement("input");
      const output = document.createElement("output");
      const tell = () => (output.textContent = `${choices[slider.value]} simulations`);
      Object.assign(slider, { type: "range", min: 0, max: choices.length - 1, step: 1, disabled: busy });
      slider.id = `strength${player}`;
      slider.value = choices.indexOf(simulations);
      slider.addEventListener("input", tell);
      slider.addEventListener("change", () => act("strength", { player, simulations: choices[slider.value] }));
      tell();
      label.className = "strength";
      label.append(`Strength of ${name}`, slider, output);
      return label;
    }),
  );
}

function show() {
  document.title = `${view.game} - Sparring`;
  $("game").textContent = view.game;
  $("seats").textContent = view.seats.map(({ name, player }) => `${name}: ${player}`).join("  ·  ");
  $("play").ariaBusy = String(busy);
  const thinking = busy && view.seat !== null && view.seat !== view.person;
  $("told").textContent = thinking ? `${view.told.replace(/ is to move\.$/, "")} is thinking ...` : view.told;
  showBoard();
  showMoves();
  showStrengths();
  $("step").hidden = view.person !== null;
  $("step").disabled = busy || view.seat === null;
  $("undo").disabled = busy || view.ply === 0;
  $("swap").disabled = $("restart").disabled = busy;
  $("history").replaceChildren(
    ...view.history.map((move) => {
      const item = document.createElement("li");
      item.textContent = move.label;
      return item;
    }),
  );
  $("panel").replaceChildren(...panel(view));
}

async function start(message = "") {
  const key = sessionStorage.getItem(KEY);
  const found = key && !message ? (await ask(`/sessions/${key}`)).view : null;
  view = found ?? (await begin());
  if (!view) return;
  while (view.busy) {
    // reloaded while the agent was thinking
    show();
    say("The agent is still thinking.");
    await new Promise((wake) => setTimeout(wake, 500));
    view = (await ask(`/sessions/${key}`)).view ?? view;
  }
  show();
  say(message);
  await reply();
}

$("step").addEventListener("click", () => act("reply"));
for (const deed of ["undo", "swap", "restart"]) $(deed).addEventListener("click", () => act(deed));
start();
