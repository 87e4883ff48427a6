// Keeps an open page as it is on the server: asks for it again and changes what has changed, in place.
"use strict";
(() => {
  const EVERY = 5000; // milliseconds
  const PATIENCE = 8000; // milliseconds that an answer may take
  const main = document.getElementById("main");
  const gone = document.getElementById("gone");
  const said = document.getElementById("said");
  const ownScript = document.querySelector("script[src]").getAttribute("src");
  let etag = "";
  let timer = 0;
  let asking = null;
  let lastAnswer = Date.now();
  let ahead = 0; // milliseconds that this machine's clock is ahead of the server's

  document.documentElement.classList.add("live");

  // ---- times

  function duration(seconds) {
    let whole = Math.max(0, Math.floor(seconds));
    const parts = [];
    for (const [name, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
      parts.push([Math.floor(whole / size), name]);
      whole %= size;
    }
    const first = parts.findIndex(([count]) => count > 0);
    const two = first < 0 ? [] : parts.slice(first, first + 2).filter(([count]) => count > 0);
    return two.map(([count, name]) => `${count} ${name}`).join(" ") || "0 s";
  }

  function setClock() {
    ahead = Date.now() - Number(main.dataset.now) * 1000;
  }

  function tellAges() {
    const now = Date.now() - ahead;
    for (const time of main.querySelectorAll("time:not(.clock)")) {
      const age = (now - Date.parse(time.dateTime)) / 1000;
      const text = age >= 1 ? `${duration(age)} ago` : "just now";
      if (time.textContent !== text) time.textContent = text;
    }
  }

  // ---- changes in place: what stays the same element keeps its focus, its selection and its scroll position

  function keyOf(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    if (node.id) return `#${node.id}`;
    if (node.localName === "tr") return node.querySelector("a")?.getAttribute("href") ?? "";
    return node.localName === "section" ? node.getAttribute("aria-labelledby") ?? "" : "";
  }

  function alike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !keyOf(one) && !keyOf(other);
  }

  function morph(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    for (const { name } of [...from.attributes]) {
      const ofTheReader = name === "open" && from.localName === "details";
      if (!to.hasAttribute(name) && !ofTheReader) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const known = new Map();
    for (const child of from.children) if (keyOf(child)) known.set(keyOf(child), child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      const match = key ? known.get(key) : at && alike(at, wanted) ? at : null;
      if (!match) {
        from.insertBefore(document.importNode(wanted, true), at);
        continue;
      }
      if (match === at) at = at.nextSibling;
      else from.insertBefore(match, at);
      morph(match, wanted);
    }
    while (at) {
      const rest = at;
      at = at.nextSibling;
      rest.remove();
    }
  }

  function states() {
    const found = new Map();
    for (const row of main.querySelectorAll(".strategies tbody > tr")) {
      const reason = row.querySelector("td > small")?.textContent ?? "";
      const name = row.querySelector("a").lastChild.textContent;
      found.set(keyOf(row), { row, name, state: row.classList[0], reason });
    }
    const one = main.querySelector("header.one");
    if (one) found.set("", { row: one, name: one.dataset.name, state: one.dataset.state, reason: "" });
    return found;
  }

  function show(page) {
    const script = page.querySelector("script[src]")?.getAttribute("src");
    const content = page.getElementById("main");
    if (!content || script !== ownScript) return location.reload(); // the server is another version now
    const before = states();
    const focused = document.activeElement;
    morph(main, document.importNode(content, true));
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    document.title = page.title;
    const icon = page.querySelector("link[rel=icon]").getAttribute("href");
    const shown = document.querySelector("link[rel=icon]");
    if (shown.getAttribute("href") !== icon) shown.setAttribute("href", icon);
    setClock();
    tellAges();
    const news = [];
    for (const [key, { row, name, state, reason }] of states()) {
      row.classList.remove("fresh");
      if (!before.has(key) || before.get(key).state === state) continue;
      void row.offsetWidth; // begins the animation anew
      row.classList.add("fresh");
      news.push(`${name} is ${state} now${reason ? `: ${reason}` : ""}.`);
    }
    if (news.length) said.textContent = news.slice(0, 5).join(" ");
  }

  // ---- asking

  function tellGone(problem) {
    const since = new Date(lastAnswer).toLocaleTimeString();
    gone.textContent = `This page is as of ${since}: ${problem}. It is tried again.`;
    gone.hidden = false;
    document.documentElement.classList.add("gone");
  }

  async function refresh() {
    clearTimeout(timer);
    asking?.abort();
    const mine = (asking = new AbortController());
    const limit = setTimeout(() => mine.abort("late"), PATIENCE);
    try {
      const answer = await fetch(location.href, {
        cache: "no-store",
        headers: etag ? { "If-None-Match": etag } : {},
        signal: mine.signal,
      });
      const text = answer.status === 304 ? "" : await answer.text();
      if (mine !== asking) return;
      if (answer.status >= 400) throw new Error(`the dashboard answers with HTTP ${answer.status}`);
      lastAnswer = Date.now();
      gone.hidden = true;
      document.documentElement.classList.remove("gone");
      etag = answer.headers.get("ETag") ?? "";
      if (text) show(new DOMParser().parseFromString(text, "text/html"));
    } catch (error) {
      if (mine !== asking) return; // a newer question has taken its place
      tellGone(error.message?.startsWith("the dashboard") ? error.message : "the dashboard does not answer");
    } finally {
      clearTimeout(limit);
      if (mine === asking && !document.hidden) timer = setTimeout(refresh, EVERY);
    }
  }

  // ---- the reader

  function go(url, { replace = false } = {}) {
    history[replace ? "replaceState" : "pushState"](null, "", url);
    etag = "";
    return refresh();
  }

  let typed = 0;
  main.addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(typed);
    typed = setTimeout(() => search(event.target.form), 120);
  });

  function search(form) {
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    return go(`${form.getAttribute("action")}${asked.size ? `?${asked}` : ""}`, { replace: true });
  }

  main.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typed);
    search(event.target);
  });

  main.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-live]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href);
  });

  document.addEventListener("keydown", (event) => {
    const box = document.getElementById("q");
    if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !event.target.closest("input, textarea, select")) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && event.target === box && box.value) {
      box.value = "";
      search(box.form);
    }
  });

  addEventListener("popstate", () => {
    const box = document.getElementById("q");
    if (box) box.value = new URLSearchParams(location.search).get("q") ?? "";
    etag = "";
    refresh();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
    else clearTimeout(timer);
  });
  addEventListener("pageshow", (event) => event.persisted && refresh());

  setClock();
  tellAges();
  setInterval(tellAges, 1000);
  timer = setTimeout(refresh, EVERY);
})();
