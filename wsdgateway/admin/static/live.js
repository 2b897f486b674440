// Shows times in the browser's time zone, copies addresses, and updates the page after each exchange by replacing the
// content of its parts with that of a freshly loaded page. The gateway renders and escapes every part.
"use strict";

const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const minute = new Intl.DateTimeFormat("en-GB", clock);
const second = new Intl.DateTimeFormat("en-GB", { ...clock, second: "2-digit" });

// Prepares a page as the gateway made it: local times, and what works only with scripts.
const prepare = (page) => {
  const today = new Date();
  for (const time of page.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    const shown = (time.classList.contains("precise") ? second : minute).format(date);
    const year = date.getFullYear() === today.getFullYear() ? "" : ` ${date.getFullYear()}`;
    time.textContent = date.toDateString() === today.toDateString() ? shown : `${day.format(date)}${year} ${shown}`;
  }
  for (const zone of page.querySelectorAll(".zone")) zone.hidden = true;
  for (const button of page.querySelectorAll("button.copy")) button.hidden = false;
};

prepare(document);

const said = document.getElementById("said");
let unsaying = 0;

const say = (text) => {
  said.textContent = text;
  clearTimeout(unsaying);
  unsaying = setTimeout(() => { said.textContent = ""; }, 3000);
};

// Copies without the Clipboard API, which browsers offer only on HTTPS and on this host.
const copySelected = (source) => {
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = document.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  const done = document.execCommand("copy");
  if (done) selection.removeAllRanges();
  return done;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  let done = false;
  try {
    await navigator.clipboard.writeText(source.textContent);
    done = true;
  } catch {
    done = copySelected(source);
  }
  say(done ? "Copied" : "Press Ctrl+C to copy");
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 2000);
  if (event.detail > 0) button.blur(); // after a click; a part with the focus is not updated
});

const live = document.getElementById("live");
if (live && "EventSource" in window) {
  const pause = document.getElementById("pause");
  const state = document.getElementById("state");
  const least = 1000; // milliseconds between two updates
  const most = 15000; // also without an exchange: a subscription may have expired
  let waiting = 0;
  let last = 0;
  let paused = false;

  // Whether a part contains the keyboard focus or selected text; it is not replaced then.
  const inUse = (part) => {
    const marked = document.getSelection();
    return part.contains(document.activeElement) ||
      (marked && !marked.isCollapsed && part.contains(marked.anchorNode));
  };

  const look = async () => {
    waiting = 0;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "Accept": "text/html" }, credentials: "same-origin" });
      if (answer.redirected || !answer.ok) {
        location.reload(); // the session has ended
        return;
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      prepare(fresh);
      for (const open of document.querySelectorAll("details[id][open]")) {
        const other = fresh.getElementById(open.id);
        if (other) other.open = true;
      }
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (other && other.innerHTML !== part.innerHTML && !inUse(part) && !paused) {
          part.replaceChildren(...other.childNodes); // the part stays, so that a live region announces its new content
        }
      }
    } catch {
      // The gateway is not reachable; the stream's error handler shows that.
    }
  };

  const soon = () => {
    if (!waiting && !paused && !document.hidden) waiting = setTimeout(look, Math.max(0, last + least - Date.now()));
  };

  const stream = new EventSource("/api/stream");
  stream.addEventListener("exchange", soon);
  stream.addEventListener("missed", soon);
  stream.addEventListener("open", () => { if (!paused) state.textContent = "Live"; soon(); });
  stream.addEventListener("error", () => { state.textContent = "No connection to the gateway; reconnecting"; });
  setInterval(soon, most);
  document.addEventListener("visibilitychange", soon);
  document.addEventListener("focusout", soon);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    state.textContent = paused ? "Paused" : "Live";
    soon();
  });
  live.hidden = false;
}
