"use strict";
// The page reads without this: it adds search, sorting and fifty rows at a time to the index,
// and a playhead to the spectrograms.
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
  const players = Array.from(document.querySelectorAll("audio"));
  for (const player of players) {
    const image = player.closest(".card").querySelector(".image");
    const head = image.querySelector(".playhead");
    const draw = () => {
      const at = `${(100 * player.currentTime) / player.duration}%`;
      head.setAttribute("x1", at);
      head.setAttribute("x2", at);
      head.setAttribute("visibility", player.currentTime > 0 ? "visible" : "hidden");
      if (!player.paused && !player.ended) requestAnimationFrame(draw);
    };
    // One at a time: comparing needs the others quiet.
    player.addEventListener("play", () => {
      players.forEach((other) => { if (other !== player) other.pause(); });
      draw();
    });
    player.addEventListener("seeked", draw);
    // A pointer's short cut; the player's own slider does the same for the keyboard.
    image.classList.add("seekable");
    image.addEventListener("click", (event) => {
      if (!(player.duration > 0)) return;
      const area = image.getBoundingClientRect();
      player.currentTime = (player.duration * (event.clientX - area.left)) / area.width;
      player.play();
    });
  }

  // Two hundred recordings opened at once would hold up the page: those further down ask for
  // their duration once it is there, a few at a time. Playing one does not wait for its turn.
  const waiting = players.filter((player) => player.preload === "none");
  const next = () => {
    const player = waiting.shift();
    if (!player) return;
    if (player.readyState > 0) { next(); return; }
    player.addEventListener("loadedmetadata", next, { once: true });
    player.addEventListener("error", next, { once: true });
    player.preload = "metadata";
  };
  addEventListener("load", () => { for (let i = 0; i < 6; i += 1) next(); });
})();
