// Shows what is new without a reload, says when that stops, and gives the keyboard its shortcuts. Every page works without it.
"use strict";
(() => {
  const QUIET = 30000;
  let waiting = false, again = false, lost = null;
  const parts = ["main", "footer", ".side nav"];
  const typing = (element) => element && /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) && element.type !== "checkbox";
  const key = (row) => row.querySelector("input[name=id]")?.value || row.querySelector("a[href]")?.getAttribute("href") || row.textContent;
  const said = (row) => { const copy = row.cloneNode(true); copy.querySelectorAll("time, .meter").forEach((part) => part.remove()); return copy.textContent; };

  const replace = (old, next) => {
    const rows = new Map([...old.querySelectorAll("tbody tr")].map((row) => [key(row), said(row)]));
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    const open = [...old.querySelectorAll("details[open]")].map((d) => d.id || d.closest("[id]")?.id);
    const chosen = new Set([...old.querySelectorAll("input[name=id]:checked")].map((box) => box.value));
    const place = held?.id || (held?.href && held.getAttribute("href"));
    old.replaceChildren(...next.childNodes);
    open.forEach((id) => { const d = id && document.getElementById(id); (d?.matches("details") ? d : d?.querySelector("details"))?.setAttribute("open", ""); });
    old.querySelectorAll("input[name=id]").forEach((box) => { box.checked = chosen.has(box.value); });
    if (place) (document.getElementById(place) || old.querySelector(`a[href="${CSS.escape(place)}"]`))?.focus({ preventScroll: true });
    if (rows.size) old.querySelectorAll("tbody tr").forEach((row) => { if (rows.get(key(row)) !== said(row)) row.classList.add("fresh"); });
    local(old);
  };

  const refresh = async () => {
    if (waiting) { again = true; return; }
    if (typing(document.activeElement) || document.querySelector("main[data-still]")) return;
    waiting = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const name of parts) {
          const old = document.querySelector(name), next = fresh.querySelector(name);
          if (!old || !next || old.dataset.shown === next.innerHTML) continue;
          const shown = next.innerHTML;
          replace(old, next);
          old.dataset.shown = shown;
        }
      } else if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload();
      } else {
        stale();
      }
    } catch { stale(); } finally {
      waiting = false;
      if (again) { again = false; setTimeout(refresh, 1000); }
    }
  };

  // A page that is left open says when it is not true any more.
  const stale = () => { document.querySelector(".stale")?.removeAttribute("hidden"); };
  const source = new EventSource("/console/live");
  source.addEventListener("changed", refresh);
  source.addEventListener("open", () => {
    clearTimeout(lost); lost = null;
    const bar = document.querySelector(".stale");
    if (bar && !bar.hidden) { bar.hidden = true; refresh(); }
  });
  source.addEventListener("error", () => { lost ??= setTimeout(stale, QUIET); });

  // What is relative to now moves on a quiet day, too; and what was held back while somebody typed comes after it.
  setInterval(() => { if (!document.hidden) refresh(); }, 60000);
  document.addEventListener("focusout", (event) => { if (typing(event.target)) setTimeout(refresh, 500); });

  // Times also in the reader's own zone.
  const local = (within) => within.querySelectorAll("time[datetime]").forEach((time) => {
    const at = new Date(time.getAttribute("datetime"));
    if (!Number.isNaN(at.getTime()) && !time.dataset.local) {
      time.dataset.local = "1";
      time.title = `${time.title}\n${at.toLocaleString()} here`;
    }
  });
  local(document);

  const rows = () => [...document.querySelectorAll("main tbody tr")];
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("at"));
    const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    all.forEach((row) => row.classList.toggle("at", row === next));
    (next.querySelector("a[href]") || next).focus?.();
    next.scrollIntoView({ block: "nearest" });
  };
  const go = { o: "/", l: "/console/leavers", i: "/console/identities", a: "/console/apps", d: "/console/drift", b: "/console/obligations", h: "/console/holds", e: "/console/events" };
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(document.activeElement)) return;
    const help = document.getElementById("keys");
    if (going) { going = false; if (go[event.key]) { event.preventDefault(); location.assign(go[event.key]); } return; }
    if (event.key === "?") { event.preventDefault(); help?.open ? help.close() : help?.showModal(); }
    else if (event.key === "/") { event.preventDefault(); document.getElementById("search")?.focus(); }
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") document.querySelector("tr.at input[name=id]")?.click();
    else if (event.key === "g") { going = true; setTimeout(() => { going = false; }, 1500); }
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "all") document.querySelectorAll("input[name=id]").forEach((box) => { box.checked = event.target.checked; });
  });
})();
