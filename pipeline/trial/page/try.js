"use strict";
// The page of `audiostyle try`. It talks to its own server alone.

const METHODS = {
  default: "Blends several ways; a few seconds",
  notes: "The default's way for one voice",
  trained: "Activations of the classifier; slower",
  shallow: "Thousands of random filters; slow",
  base: "Untrained convolutions; slowest",
};
const ROLES = ["content", "style", "result"];
const $ = (selector, within = document) => within.querySelector(selector);
const fill = (id) => $(`#${id}`).content.cloneNode(true);
const chosen = { content: [], style: [] }; // recordings by role
const shown = new Map(); // elements of transfers by number
let limits = { seconds: 60, megabytes: 50, styles: 5 };
let current = null; // the transfer that is listened to
let polling = 0;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is `audiostyle try` still running?");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.error || `The server answered with ${answer.status}.`);
  }
  return answer.json();
}

const seconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
const clock = (value) => `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`;
const tenths = (value) => `${clock(value)}.${Math.floor((value % 1) * 10)}`;
const facts = (sound) =>
  `${seconds(sound.seconds)} · ${sound.rate.toLocaleString("en")} Hz · ` +
  (sound.channels === 1 ? "mono" : sound.channels === 2 ? "stereo" : `${sound.channels} channels`);

// Recordings

function makeZone(zone) {
  const role = zone.dataset.role;
  zone.append(fill("zone"));
  const input = $("input", zone);
  $(".drop span", zone).append(Object.assign(document.createElement("span"), { className: "unseen", textContent: ` as ${role}` }));
  input.multiple = role === "style";
  input.addEventListener("change", () => take(zone, input.files));
  for (const kind of ["dragenter", "dragover"])
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    take(zone, event.dataTransfer.files);
  });
  const button = $(".record", zone);
  button.setAttribute("aria-label", `Record the ${role}`);
  button.addEventListener("click", () => (zone.stopRecording ? zone.stopRecording() : record(zone)));
}

async function take(zone, files) {
  const several = [...files];
  for (const file of zone.dataset.role === "style" ? several : several.slice(0, 1)) await upload(zone, file, file.name);
}

async function upload(zone, blob, name) {
  const error = $(".error", zone);
  error.textContent = "";
  zone.classList.add("busy");
  try {
    if (blob.size > limits.megabytes * 1e6)
      throw new Error(`${name}: is larger than ${limits.megabytes} MB, the limit of this page`);
    const sound = await ask(`recordings?name=${encodeURIComponent(name)}`, { method: "POST", body: blob });
    choose(zone, sound);
  } catch (problem) {
    error.textContent = problem.message;
  } finally {
    zone.classList.remove("busy");
    $("input", zone).value = "";
  }
}

function choose(zone, sound) {
  const role = zone.dataset.role, list = $(".list", zone), one = fill("chosen").firstElementChild;
  if (role === "content") {
    chosen.content = [];
    list.replaceChildren();
  } else if (chosen.style.length >= limits.styles) {
    $(".error", zone).textContent = `A style has at most ${limits.styles} recordings; remove one first.`;
    return;
  }
  chosen[role].push(sound);
  list.append(one);
  $(".name", one).textContent = sound.name;
  $(".facts", one).textContent = facts(sound);
  const remove = $(".remove", one);
  remove.setAttribute("aria-label", `Remove ${sound.name}`);
  remove.addEventListener("click", () => {
    one.remove();
    chosen[role] = chosen[role].filter((each) => each !== sound);
    $("input", zone).focus();
    ready();
  });
  const picture = $(".spectrogram", one);
  picture.src = `recordings/${sound.id}/spectrogram`;
  picture.alt = `Spectrogram of the ${role}`;
  const audio = $("audio", one);
  audio.src = `recordings/${sound.id}`;
  audio.setAttribute("aria-label", `The ${role}: ${sound.name}`);
  ready();
}

function ready() {
  const both = chosen.content.length > 0 && chosen.style.length > 0;
  for (const zone of document.querySelectorAll(".zone")) {
    const some = chosen[zone.dataset.role].length;
    zone.classList.toggle("filled", some > 0);
    $(".drop b", zone).textContent = !some ? "Choose a file" : zone.dataset.role === "style" ? "Add a file" : "Choose another file";
  }
  $("#start").setAttribute("aria-disabled", String(!both));
  $("#start-hint").textContent = both ? "Two run at a time" : "Choose both recordings first";
}

async function record(zone) {
  const error = $(".error", zone), word = $(".recording", zone), button = $(".record", zone);
  error.textContent = "";
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch {
    error.textContent = "The browser gives no microphone to this page; allow it, or choose a file.";
    return;
  }
  const recorder = new MediaRecorder(stream), parts = [], begun = performance.now();
  const tick = setInterval(() => {
    const gone = (performance.now() - begun) / 1000;
    word.textContent = `${clock(gone)} of at most ${clock(limits.seconds)}`;
    if (gone >= limits.seconds - 0.5) zone.stopRecording();
  }, 200);
  zone.stopRecording = () => recorder.state !== "inactive" && recorder.stop();
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = async () => {
    clearInterval(tick);
    stream.getTracks().forEach((track) => track.stop());
    zone.stopRecording = null;
    button.classList.remove("on");
    button.textContent = "Record";
    word.textContent = "";
    try {
      const context = new AudioContext();
      const sound = await context.decodeAudioData(await new Blob(parts).arrayBuffer());
      context.close();
      await upload(zone, wav(sound), `recorded ${zone.dataset.role}.wav`);
    } catch {
      error.textContent = "The recording is empty; record a little longer.";
    }
  };
  recorder.start();
  button.classList.add("on");
  button.textContent = "Stop";
}

// 16-bit WAV of an AudioBuffer: what the server reads, unlike the browsers' own format.
function wav(sound) {
  const channels = sound.numberOfChannels, size = 2 * channels * sound.length;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + size, true); text(8, "WAVEfmt "); view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); view.setUint16(22, channels, true); view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, 2 * channels * sound.sampleRate, true); view.setUint16(32, 2 * channels, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, size, true);
  const data = Array.from({ length: channels }, (_, channel) => sound.getChannelData(channel));
  for (let frame = 0, at = 44; frame < sound.length; frame += 1)
    for (let channel = 0; channel < channels; channel += 1, at += 2)
      view.setInt16(at, Math.max(-1, Math.min(1, data[channel][frame])) * 32767, true);
  return new Blob([view], { type: "audio/wav" });
}

// Transfers

$("#form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = $("#form-error");
  error.textContent = "";
  if (!chosen.content.length || !chosen.style.length) {
    error.textContent = "Choose a recording for the content and one for the style.";
    return;
  }
  const transpose = $("#transpose").value;
  const settings = {
    method: $("#method").value,
    strength: Number($("#strength").value) / 100,
    transpose: transpose === "auto" ? transpose : Number(transpose),
  };
  const body = JSON.stringify({ content: chosen.content[0].id, styles: chosen.style.map((sound) => sound.id), settings });
  try {
    const asked = await ask("transfers", { method: "POST", body });
    draw(asked);
    say(`Transfer ${asked.number} started`);
    poll();
  } catch (problem) {
    error.textContent = problem.message;
  }
});

const say = (text) => { $("#status").textContent = text; };
const active = (transfer) => transfer.state === "waiting" || transfer.state === "running";

const title = (transfer) =>
  `${transfer.content.name} in the style of ${transfer.styles.map((style) => style.name).join(" and ")}`;

function words(settings) {
  const parts = [settings.method, `strength ${Math.round(100 * settings.strength)} %`];
  if (settings.transpose !== 0)
    parts.push(settings.transpose === "auto" ? "transposed automatically" : `transposed by ${settings.transpose} semitones`);
  return parts.join(" · ");
}

function draw(transfer) {
  let item = shown.get(transfer.number);
  if (!item) {
    item = fill("transfer").firstElementChild;
    shown.set(transfer.number, item);
    $(".name", item).textContent = title(transfer);
    $(".facts", item).textContent = words(transfer.settings);
    $("progress", item).setAttribute("aria-label", `Progress of transfer ${transfer.number}`);
    $(".cancel", item).setAttribute("aria-label", `Cancel transfer ${transfer.number}`);
    $(".cancel", item).addEventListener("click", async () => {
      try { draw(await ask(`transfers/${transfer.number}/cancel`, { method: "POST" })); poll(); } catch (problem) { $(".error", item).textContent = problem.message; }
    });
    $(".show", item).setAttribute("aria-label", `Listen to transfer ${transfer.number}`);
    $(".show", item).addEventListener("click", () => listen(item.transfer, true));
    $("#transfers").prepend(item);
    $("#empty").hidden = true;
  }
  const before = item.transfer;
  item.transfer = transfer;
  const states = { waiting: "waiting", running: transfer.ending ? "ending" : transfer.share ? `${Math.round(100 * transfer.share)} %` : "starting", done: "done", failed: "failed", canceled: "canceled" };
  $(".share", item).textContent = states[transfer.state];
  $("progress", item).hidden = !active(transfer);
  if (transfer.share && !transfer.ending) $("progress", item).value = transfer.share;
  else $("progress", item).removeAttribute("value");
  $(".error", item).textContent = transfer.error;
  $(".cancel", item).hidden = !active(transfer) || transfer.ending;
  $(".show", item).hidden = transfer.state !== "done";
  item.dataset.state = transfer.state;
  if (before && active(before) && !active(transfer)) {
    say(`Transfer ${transfer.number} is ${transfer.state}`);
    if (transfer.state === "done" && !playing()) listen(transfer, false);
  }
}

async function poll() {
  clearTimeout(polling);
  try {
    const session = await ask("session");
    session.transfers.slice().reverse().forEach(draw);
    if (session.transfers.some(active)) polling = setTimeout(poll, 300);
  } catch (problem) {
    $("#form-error").textContent = problem.message;
  }
}

// Listening: three players, of which one is heard.

const players = Object.fromEntries(ROLES.map((role) => [role, new Audio()]));
const role = () => ($(".switch input:checked") || { value: "result" }).value;
const playing = () => !players[role()].paused;

for (const each of ROLES) {
  const label = document.createElement("label");
  label.className = each;
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "role", value: each, checked: each === "result" });
  label.append(radio, each[0].toUpperCase() + each.slice(1));
  radio.addEventListener("change", switchTo);
  $(".switch").append(label);
  players[each].preload = "auto";
  for (const kind of ["timeupdate", "loadedmetadata"]) players[each].addEventListener(kind, follow);
  players[each].addEventListener("ended", () => { players[each].currentTime = 0; follow(); });
  for (const kind of ["play", "pause"]) players[each].addEventListener(kind, follow);
}

function listen(transfer, focus) {
  current = transfer;
  $("#heard").hidden = transfer.styles.length < 2;
  $("#heard-style").replaceChildren(...transfer.styles.map((sound, number) => new Option(`${number + 1}. ${sound.name}`, String(number))));
  load(0);
  $("#listen").hidden = false;
  $("#listen-what").textContent = `${title(transfer)} · ${words(transfer.settings)}`;
  $("#download").href = `recordings/${transfer.result.id}/download`;
  $("#row").href = `transfers/${transfer.number}/pairs.csv`;
  for (const [number, item] of shown) item.classList.toggle("on", number === transfer.number);
  $(".switch input[value=result]").checked = true;
  follow();
  if (focus) {
    $("#listen").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    $("#play").focus({ preventScroll: true });
  }
}

// Give the players and the pictures what they play and show: of several styles, one.
function load(style) {
  ROLES.forEach((each) => players[each].pause());
  const sounds = { content: current.content, style: current.styles[style], result: current.result };
  // One level: the loudest are turned down to the quietest, by 20 dB at most.
  const levels = Object.values(sounds).map((sound) => sound.rms);
  const level = Math.max(Math.min(...levels), Math.max(...levels) / 10);
  $(".pictures").replaceChildren();
  for (const each of ROLES) {
    const sound = sounds[each], player = players[each];
    player.src = `recordings/${sound.id}`;
    player.volume = Math.min(1, level / sound.rms);
    const figure = document.createElement("figure");
    figure.className = each;
    const caption = document.createElement("figcaption");
    const about = document.createElement("small");
    const link = Object.assign(document.createElement("a"), { href: `recordings/${sound.id}/download`, download: sound.name, textContent: sound.name });
    link.setAttribute("aria-label", `Download the ${each}, ${sound.name}`);
    about.append(link, `, ${seconds(sound.seconds)}`);
    caption.append(each[0].toUpperCase() + each.slice(1), about);
    const frame = Object.assign(document.createElement("div"), { className: "frame" });
    const picture = Object.assign(new Image(1000, 240), { className: "spectrogram", src: `recordings/${sound.id}/spectrogram`, alt: `Spectrogram of the ${each}` });
    frame.append(picture, Object.assign(document.createElement("div"), { className: "head" }));
    frame.addEventListener("click", (event) => {
      const box = frame.getBoundingClientRect();
      $(`.switch input[value=${each}]`).checked = true;
      switchTo();
      player.currentTime = ((event.clientX - box.left) / box.width) * (player.duration || 0);
      follow();
    });
    figure.append(caption, frame);
    $(".pictures").append(figure);
  }
}

function switchTo() {
  const heard = ROLES.find((each) => !players[each].paused);
  const from = players[heard || switchTo.last || "result"], to = players[role()];
  switchTo.last = role();
  if (from === to) return follow();
  const length = to.duration || 0;
  to.currentTime = length ? from.currentTime % length : 0;
  if (heard) { from.pause(); to.play().catch(follow); }
  follow();
}

function follow() {
  const player = players[role()], length = player.duration || 0;
  $("#listen").classList.toggle("playing", !player.paused);
  $("#play").setAttribute("aria-label", player.paused ? "Play" : "Pause");
  $("#seek").value = length ? (1000 * player.currentTime) / length : 0;
  $("#seek").setAttribute("aria-valuetext", `${seconds(player.currentTime)} of ${seconds(length)}`);
  $("#clock").textContent = `${tenths(player.currentTime)} / ${tenths(length)}`;
  for (const each of ROLES) {
    const figure = $(`.pictures .${each}`);
    if (!figure) continue;
    figure.classList.toggle("on", each === role());
    const share = length ? player.currentTime / length : 0;
    $(".head", figure).hidden = each !== role();
    $(".head", figure).style.left = `${100 * share}%`;
  }
}

function turn() {
  const player = players[role()];
  if (player.paused) { ROLES.forEach((each) => each !== role() && players[each].pause()); player.play().catch(follow); } else player.pause();
}

$("#play").addEventListener("click", turn);
$("#heard-style").addEventListener("change", (event) => {
  const goesOn = playing();
  load(Number(event.target.value));
  $(".switch input[value=style]").checked = true;
  switchTo();
  if (goesOn) turn();
});
$("#seek").addEventListener("input", (event) => {
  const player = players[role()];
  player.currentTime = (event.target.value / 1000) * (player.duration || 0);
});
document.addEventListener("keydown", (event) => {
  if (!current || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, summary, audio")) return;
  const number = ["1", "2", "3"].indexOf(event.key);
  if (number >= 0) {
    $(`.switch input[value=${ROLES[number]}]`).checked = true;
    switchTo();
  } else if (event.key === " " && !event.target.closest("button, a, input[type=file]")) {
    event.preventDefault();
    turn();
  }
});
(function frame() { if (current && playing()) follow(); requestAnimationFrame(frame); })();

// The start

$("#strength").addEventListener("input", (event) => { $("#strength-value").value = `${event.target.value} %`; });
$("#method").addEventListener("change", (event) => { $("#method-hint").textContent = METHODS[event.target.value] || ""; });
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
document.querySelectorAll(".zone").forEach(makeZone);
const steps = Array.from({ length: 24 }, (_, i) => (i < 12 ? i - 12 : i - 11));
$("#transpose").append(new Option("as it is", "0"), new Option("to where the style is (octaves)", "auto"));
for (const step of steps.reverse()) $("#transpose").append(new Option(`${step > 0 ? "+" : "−"}${Math.abs(step)} semitones`, String(step)));
ready();
ask("session").then((session) => {
  limits = session.limits;
  $("#limits").textContent = `A recording has at most ${limits.seconds} seconds and ${limits.megabytes} MB. Classifier: ${session.model}.`;
  for (const method of session.methods) $("#method").append(new Option(method, method));
  $("#method").dispatchEvent(new Event("change"));
  session.transfers.slice().reverse().forEach(draw);
  const last = session.transfers.find((transfer) => transfer.state === "done");
  if (last) listen(last, false);
  if (session.transfers.some(active)) poll();
}, (problem) => { $("#form-error").textContent = problem.message; });
