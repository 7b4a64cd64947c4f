"use strict";
// The page reads without this: it adds search, sorting and fifty rows at a time to the index,
// and to each item a player with a switch between its recordings.
(() => {
  const table = document.querySelector("table.index");
  if (!table) return;
  const body = table.tBodies[0];
  const every = Array.from(table.tBodies).flatMap((part) => Array.from(part.rows));
  table.querySelector(".rest")?.remove();
  const size = 50;
  let matches = every;
  let start = 0;
  const box = document.getElementById("search");
  const status = document.getElementById("matches");
  const turns = [document.getElementById("previous"), document.getElementById("next")];

  const show = () => {
    body.replaceChildren(...matches.slice(start, start + size));
    const end = Math.min(start + size, matches.length);
    const of = every.length.toLocaleString("en");
    status.textContent = !matches.length ? `None of ${of} items match`
      : matches.length > size ? `${start + 1} to ${end} of ${matches.length.toLocaleString("en")} items`
      : `${matches.length} of ${of} items`;
    turns[0].disabled = start === 0;
    turns[1].disabled = end >= matches.length;
    turns[0].parentElement.hidden = matches.length <= size;
  };

  const search = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    matches = every.filter((row) => words.every((word) => row.dataset.search.includes(word)));
    start = 0;
    show();
  };

  // Numbers by value, with what has none last in either direction; names as people order them.
  const collator = new Intl.Collator("en", { numeric: true });
  const sort = (column, down) => {
    const sign = down ? -1 : 1;
    const keyed = every.map((row) => {
      const cell = row.cells[column];
      const value = column ? parseFloat(cell.dataset.value) : cell.textContent;
      return { row, value, none: column > 0 && !Number.isFinite(value) };
    });
    keyed.sort((a, b) => a.none - b.none || (a.none ? 0
      : sign * (column ? a.value - b.value : collator.compare(a.value, b.value))));
    keyed.forEach((pair, index) => { every[index] = pair.row; });
    search();
  };

  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down);
    });
  });
  box.addEventListener("input", search);
  turns.forEach((button, next) => button.addEventListener("click", () => {
    start = next ? start + size : Math.max(0, start - size);
    show();
    body.closest(".scroll").scrollTop = 0;
  }));
  box.parentElement.hidden = false;
  show();
})();

(() => {
  // One clock an item: whichever recording plays, it plays from where the others were.
  class Player {
    constructor(bar) {
      this.bar = bar;
      const item = bar.closest(".item");
      this.cards = new Map(Array.from(item.querySelectorAll(".card"), (card) => [card.dataset.role, {
        card, sound: card.querySelector("audio"), image: card.querySelector(".image"),
        head: card.querySelector(".playhead"),
        choice: bar.querySelector(`[role="radio"][data-role="${card.dataset.role}"]`),
      }]));
      this.button = bar.querySelector(".play");
      this.slider = bar.querySelector(".position");
      this.time = bar.querySelector(".time");
      this.loop = bar.querySelector(".loop");
      this.even = bar.querySelector(".even");
      this.stops = Array.from(bar.querySelectorAll("button, input"));
      this.role = bar.dataset.start;
      // Seconds that the item's clock is ahead of the recording: one that is shorter is played
      // from its beginning again where the clock is beyond its end.
      this.ahead = 0;
      this.wanted = null;
      for (const [role, one] of this.cards) this.connect(role, one);
      this.button.addEventListener("click", () => this.toggle());
      this.slider.addEventListener("input", () => this.seek(this.slider.value * this.seconds()));
      this.loop.addEventListener("click", () => this.press(this.loop));
      this.even?.addEventListener("click", () => { this.press(this.even); this.level(); });
      bar.addEventListener("keydown", (event) => this.key(event));
      bar.addEventListener("focusin", (event) => this.focus(event.target, false));
      bar.hidden = false;
      const note = item.querySelector(".level");
      if (note) note.hidden = false;
      this.level();
      this.draw();
    }

    connect(role, { sound, image, choice }) {
      sound.controls = false;
      sound.hidden = true;
      choice.addEventListener("click", () => this.choose(role));
      sound.addEventListener("playing", () => {
        // Comparing needs the others quiet.
        sounds.forEach((other) => { if (other !== sound) other.pause(); });
        this.run();
      });
      for (const name of ["pause", "seeked", "loadedmetadata"]) sound.addEventListener(name, () => this.draw());
      sound.addEventListener("ended", () => {
        if (role !== this.role) return;
        this.seek(0);
        if (this.loop.getAttribute("aria-pressed") === "true") this.play();
      });
      // A pointer's short cut: the slider does the same for the keyboard.
      image.classList.add("seekable");
      image.addEventListener("click", (event) => {
        const area = image.getBoundingClientRect();
        this.ahead = 0;
        this.choose(role, (this.seconds(role) * (event.clientX - area.left)) / area.width);
        this.play();
      });
    }

    sound(role = this.role) { return this.cards.get(role).sound; }

    seconds(role = this.role) {
      const sound = this.sound(role);
      return sound.duration > 0 ? sound.duration : Number(sound.dataset.seconds);
    }

    position() { return this.wanted ?? this.sound().currentTime; }

    seek(seconds) {
      this.ahead = 0;
      this.move(seconds);
    }

    // What is not loaded yet takes its position when it is.
    move(seconds) {
      const sound = this.sound();
      const at = Math.max(0, Math.min(seconds, this.seconds()));
      if (sound.readyState > 0) {
        this.wanted = null;
        sound.currentTime = at;
      } else {
        this.wanted = at;
        sound.addEventListener("loadedmetadata", () => {
          if (this.wanted === null || sound !== this.sound()) return;
          sound.currentTime = this.wanted;
          this.wanted = null;
        }, { once: true });
        sound.preload = "auto";
      }
      this.draw();
    }

    choose(role, seconds) {
      const before = this.sound();
      const playing = !before.paused;
      const clock = seconds ?? this.position() + this.ahead;
      this.role = role;
      const length = this.seconds();
      this.ahead = clock < length || !(length > 0) ? 0 : clock - (clock % length);
      this.move(clock - this.ahead);
      if (!playing || before === this.sound()) return;
      // The one before plays until this one does: no gap to get used to.
      this.play();
    }

    play() {
      this.sound().play().catch(() => this.draw());
      this.run();
    }

    toggle() {
      if (this.sound().paused) this.play(); else this.cards.forEach(({ sound }) => sound.pause());
    }

    press(button) {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    }

    level() {
      const even = this.even?.getAttribute("aria-pressed") === "true";
      this.cards.forEach(({ sound }) => { sound.volume = even ? Number(sound.dataset.gain) : 1; });
    }

    // The toolbar is one tab stop: arrows move within it.
    focus(stop, move = true) {
      if (!this.stops.includes(stop)) return;
      this.stops.forEach((other) => { other.tabIndex = other === stop ? 0 : -1; });
      if (move) stop.focus();
    }

    key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const at = this.stops.indexOf(event.target);
      const count = this.stops.length;
      const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
      if (event.key === "ArrowRight") this.focus(this.stops[(at + 1) % count]);
      else if (event.key === "ArrowLeft") this.focus(this.stops[(at + count - 1) % count]);
      else if (event.key === "Home") this.focus(this.stops[0]);
      else if (event.key === "End") this.focus(this.stops[count - 1]);
      else if (event.key in steps && event.target === this.slider) this.seek(this.position() + steps[event.key] * this.seconds() / 50);
      else if (event.key === " " && event.target === this.slider) this.toggle();
      else if (/^[1-9]$/.test(event.key) && event.key <= this.cards.size) this.choose(Array.from(this.cards.keys())[event.key - 1]);
      else return;
      event.preventDefault();
    }

    run() {
      if (this.running) return;
      const step = () => {
        this.running = !this.sound().paused;
        this.draw();
        if (this.running) requestAnimationFrame(step);
      };
      this.running = true;
      requestAnimationFrame(step);
    }

    draw() {
      const length = this.seconds();
      const at = this.position();
      const clock = at + this.ahead;
      const playing = !this.sound().paused;
      const text = `${format(at)} of ${format(length)}`;
      this.button.classList.toggle("on", playing);
      this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
      if (document.activeElement !== this.slider || !this.slider.matches(":active")) this.slider.value = at / length;
      this.slider.setAttribute("aria-valuetext", `${text}, ${this.role}`);
      this.time.textContent = `${format(at)} / ${format(length)}`;
      for (const [role, { card, head, choice }] of this.cards) {
        const here = `${(100 * (role === this.role ? at : clock % this.seconds(role))) / this.seconds(role)}%`;
        choice.setAttribute("aria-checked", String(role === this.role));
        card.classList.toggle("playing", role === this.role);
        head.setAttribute("x1", here);
        head.setAttribute("x2", here);
        head.setAttribute("visibility", clock > 0 ? "visible" : "hidden");
      }
    }
  }

  const format = (seconds) => {
    const tenths = Math.floor(10 * (Number.isFinite(seconds) ? seconds : 0) + 1e-6);
    return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
  };

  // A page that holds its recordings gives them away itself, but in a frame browsers may forbid it.
  if (self === top) document.querySelectorAll(".card").forEach((card) => {
    const sound = card.querySelector("audio"), file = card.querySelector(".file");
    if (!sound.src.startsWith("data:") || file.querySelector("a")) return;
    const link = Object.assign(document.createElement("a"), { href: "#", download: file.textContent, textContent: file.textContent });
    link.setAttribute("aria-label", `Download the ${card.dataset.role}, ${file.textContent}`);
    link.addEventListener("click", () => {
      const [type, content] = sound.src.slice("data:".length).split(";base64,");
      const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
      link.href = URL.createObjectURL(new Blob([bytes], { type }));
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    });
    file.replaceChildren(link);
  });

  // From disk, browsers ignore that a link is a download, and give scripts no file to offer.
  const links = Array.from(document.querySelectorAll('.file a[download]:not([href="#"])'));
  if (location.protocol === "file:" && links.length) {
    links.forEach((link) => link.setAttribute("aria-label", link.getAttribute("aria-label").replace(/^Download/, "Open")));
    document.getElementById("from-disk").hidden = false;
  }

  const sounds = Array.from(document.querySelectorAll("audio"));
  const keys = document.getElementById("keys");
  if (keys) keys.hidden = false;
  document.querySelectorAll(".player").forEach((bar) => new Player(bar));

  // Two hundred recordings opened at once would hold up the page: those further down ask for
  // their duration once it is there, a few at a time. Playing one does not wait for its turn.
  const waiting = sounds.filter((sound) => sound.preload === "none");
  const next = () => {
    const sound = waiting.shift();
    if (!sound) return;
    if (sound.readyState > 0) { next(); return; }
    sound.addEventListener("loadedmetadata", next, { once: true });
    sound.addEventListener("error", next, { once: true });
    sound.preload = "metadata";
  };
  addEventListener("load", () => { for (let i = 0; i < 6; i += 1) next(); });
})();
