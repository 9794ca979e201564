// Shows what is new without a reload: the page is asked for again when the log has moved, and its parts are replaced.
"use strict";
(() => {
  let waiting = false, again = false;
  const refresh = async () => {
    if (waiting) { again = true; return; }
    waiting = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const name of ["main", "footer"]) {
          const old = document.querySelector(name), next = fresh.querySelector(name);
          if (!old || !next || old.innerHTML === next.innerHTML) continue;
          // Whoever works by keyboard, or has something open, stays where they are.
          const held = old.contains(document.activeElement) ? document.activeElement : null;
          if (held && /^(INPUT|SELECT|TEXTAREA)$/.test(held.tagName)) continue;
          const open = [...old.querySelectorAll("details[open]")].map((d) => d.closest("[id]")?.id);
          old.replaceChildren(...next.childNodes);
          open.forEach((id) => id && document.getElementById(id)?.querySelector("details")?.setAttribute("open", ""));
          if (held?.id) document.getElementById(held.id)?.focus({ preventScroll: true });
        }
      } else if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload();
      }
    } finally {
      waiting = false;
      if (again) { again = false; setTimeout(refresh, 1000); }
    }
  };
  new EventSource("/console/live").addEventListener("changed", refresh);
})();
