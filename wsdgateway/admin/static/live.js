// Updates the page after each exchange by replacing its parts with those of a freshly loaded page. The gateway renders and
// escapes every part.
"use strict";

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
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (other && other.outerHTML !== part.outerHTML && !inUse(part) && !paused) part.replaceWith(other);
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
