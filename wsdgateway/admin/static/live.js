// Keeps the page as it would be if it were loaded again, as soon as something has happened. Every part is rendered by the
// gateway, escaped; here whole parts are exchanged.
"use strict";

const live = document.getElementById("live");
if (live && "EventSource" in window) {
  const pause = document.getElementById("pause");
  const state = document.getElementById("state");
  const least = 1000; // milliseconds between two looks
  const most = 15000; // also without an exchange: a subscription may have run out
  let waiting = 0;
  let last = 0;
  let paused = false;

  // A part in which somebody is reading with the keyboard, or marks text, stays as it is for now.
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
        location.reload(); // the session is over
        return;
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (other && other.outerHTML !== part.outerHTML && !inUse(part) && !paused) part.replaceWith(other);
      }
    } catch {
      // The gateway is not there for the moment; the stream says so.
    }
  };

  const soon = () => {
    if (!waiting && !paused && !document.hidden) waiting = setTimeout(look, Math.max(0, last + least - Date.now()));
  };

  const stream = new EventSource("/api/stream");
  stream.addEventListener("exchange", soon);
  stream.addEventListener("missed", soon);
  stream.addEventListener("open", () => { if (!paused) state.textContent = "Live"; soon(); });
  stream.addEventListener("error", () => { state.textContent = "No connection to the gateway; trying again"; });
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
