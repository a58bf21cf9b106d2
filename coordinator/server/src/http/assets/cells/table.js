// A long list of cells: only the visible rows are in the document, so that ten thousand cells are as quick as ten.
"use strict";

import { element, percent } from "../compare/look.js";

const ROW = 32;
// Rows above and below the visible ones.
const SPARE = 6;

export class Table {
  constructor(sweep) {
    this.sweep = sweep;
    this.rows = [];
    this.active = 0;
    this.space = element("div", { class: "space" });
    const frame = { class: "list", tabindex: "0", role: "listbox", "aria-label": "Cells. Enter opens a cell." };
    this.node = element("div", frame, this.space);
    this.node.addEventListener("scroll", () => this.draw(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("focus", () => this.draw());
    this.node.addEventListener("blur", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  // Shows these cells. `range` has the lowest and the highest accuracy, which are the ends of the colours.
  show(rows, range) {
    this.rows = rows;
    this.range = range;
    this.active = Math.max(0, Math.min(this.active, rows.length - 1));
    this.space.style.height = `${rows.length * ROW}px`;
    this.draw();
  }

  draw() {
    const from = Math.max(0, Math.floor(this.node.scrollTop / ROW) - SPARE);
    const to = Math.min(this.rows.length, Math.ceil((this.node.scrollTop + this.node.clientHeight) / ROW) + SPARE);
    const shown = [];
    for (let place = from; place < to; place += 1) shown.push(this.row(place));
    this.space.replaceChildren(...shown);
    const active = this.rows.length > 0 && document.activeElement === this.node ? `row-${this.active}` : null;
    if (active) this.node.setAttribute("aria-activedescendant", active);
    else this.node.removeAttribute("aria-activedescendant");
  }

  row(place) {
    const cell = this.rows[place];
    const score = cell.accuracy === null ? (cell.failure ?? "") : `${(100 * cell.accuracy).toFixed(2)} %`;
    const isActive = place === this.active && document.activeElement === this.node;
    const attributes = {
      class: `row-cell ${cell.state}${isActive ? " active" : ""}`,
      id: `row-${place}`,
      role: "option",
      "aria-selected": String(isActive),
      "aria-setsize": this.rows.length,
      "aria-posinset": place + 1,
    };
    const column = (text, name) => element("span", { class: name }, text);
    const row = element(
      "div",
      attributes,
      column(cell.state, "cell-state"),
      column(`${cell.title}, ${percent(cell.fraction)}`, "cell-method"),
      column(cell.lr, "cell-lr"),
      column(`seed ${cell.seed}`, "cell-seed"),
      column(score, "cell-score"),
    );
    row.style.top = `${place * ROW}px`;
    if (cell.accuracy !== null) {
      const [low, high] = this.range;
      const share = high > low ? (cell.accuracy - low) / (high - low) : 1;
      const strength = Math.round(4 + 30 * share);
      row.lastChild.style.backgroundColor = `color-mix(in srgb, var(--good) ${strength}%, transparent)`;
    }
    row.addEventListener("click", () => this.open(place));
    return row;
  }

  open(place) {
    const cell = this.rows[place];
    if (cell) location.href = `/sweeps/${this.sweep}/cells/${cell.key}`;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.node.clientHeight / ROW) - 1);
    const moves = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -this.rows.length,
      End: this.rows.length,
    };
    if (event.key === "Enter") this.open(this.active);
    else if (event.key in moves) {
      this.active = Math.max(0, Math.min(this.rows.length - 1, this.active + moves[event.key]));
      const top = this.active * ROW;
      if (top < this.node.scrollTop) this.node.scrollTop = top;
      const below = top + ROW - this.node.clientHeight;
      if (below > this.node.scrollTop) this.node.scrollTop = below;
      this.draw();
    } else return;
    event.preventDefault();
  }
}
