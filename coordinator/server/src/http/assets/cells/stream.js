// The cells of a sweep, kept up to date by the read API's stream of changes. After a break it asks only for what
// changed since the last event that it has seen.
"use strict";

const LONGEST = 30000;

export class Stream {
  // `onChange()` is called after each event.
  constructor(sweep, titles, onChange) {
    this.sweep = sweep;
    this.titles = titles;
    this.onChange = onChange;
    this.cells = [];
    this.mark = "";
    this.events = 0;
    this.bytes = 0;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.open());
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    if (this.source || document.hidden) return;
    this.source = new EventSource(`/api/v1/sweeps/${this.sweep}/changes?have=${this.mark}`);
    this.source.onmessage = (event) => {
      this.failures = 0;
      this.take(JSON.parse(event.data));
      // For tests and for the curious: what the last event cost.
      this.events += 1;
      this.bytes = event.data.length;
      this.onChange();
    };
    this.source.onerror = () => {
      this.close();
      const wait = Math.min(LONGEST, 1000 * 2 ** this.failures) * (0.75 + Math.random() / 2);
      this.failures += 1;
      this.timer = setTimeout(() => this.open(), wait);
    };
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  take(event) {
    this.mark = event.mark;
    if (event.cells) {
      const { methods, fractions, policies } = event;
      this.cells = event.cells.map(([m, f, p, seed, state, accuracy, failure], place) => {
        const [method, fraction, lr] = [methods[m], fractions[f], policies[p]];
        const title = this.titles.get(method) ?? method;
        return {
          place,
          method,
          title,
          fraction,
          lr,
          seed,
          state,
          accuracy,
          failure,
          key: `${method}/${fraction}/${lr}/${seed}`,
        };
      });
    }
    for (const [place, state, accuracy, failure] of event.changed ?? []) {
      if (this.cells[place]) Object.assign(this.cells[place], { state, accuracy, failure });
    }
  }
}
