// Keeps an open page up to date: asks for the tip of the branch, and where it moved fetches the page again and puts
// the new content in the place of the old, with what was unfolded, scrolled and focused as it was. Without this file
// everything but that works.
"use strict";

(() => {
  const EVERY = 1000, AFTER_A_FAULT = 4000, CLOCK = 20000, MARKED = 2400;
  const live = document.getElementById("live");
  let tip = document.body.dataset.tip;
  let busy = false;

  const say = (text, lost) => {
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle("lost", lost);
  };

  // Identities of elements that the reader has touched: an id, or what a link leads to and which of its kind it is.
  const place = (element) => {
    if (!element || !document.getElementById("main").contains(element)) return null;
    if (element.id) return "#" + CSS.escape(element.id);
    const href = element.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : element.localName === "summary" ? place(element.parentElement) + " > summary" : null;
  };

  const remember = (main) => ({
    unfolded: new Map([...main.querySelectorAll("details[id]")].map((one) => [one.id, one.open])),
    scrolled: [...main.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollLeft, fromTop(one), isAtEnd(one)]),
    texts: new Map([...main.querySelectorAll("[data-key]")].map((one) => [one.dataset.key, words(one)])),
    marked: new Map([...main.querySelectorAll(".changed[data-key]")].map((one) => [one.dataset.key, one.dataset.since])),
    inputs: [...main.querySelectorAll("input[id]")].map((one) => [one.id, one.value]),
    focus: place(document.activeElement),
    y: window.scrollY,
  });

  // What is scrolled: a log that begins at its end counts its pixels from there, below nought.
  let following = true;
  const hidden = (one) => one.scrollHeight - one.clientHeight;
  const isReversed = (one) => one.classList.contains("from-end");
  const fromTop = (one) => one.scrollTop + (isReversed(one) ? hidden(one) : 0);
  const isAtEnd = (one) => hidden(one) > 0 && fromTop(one) >= hidden(one) - 4;
  const scrollTo = (one, top) => { one.scrollTop = top - (isReversed(one) ? hidden(one) : 0); };

  const offerToFollow = () => {
    for (const button of document.querySelectorAll(".follow")) {
      button.hidden = false;
      button.setAttribute("aria-pressed", following);
    }
  };
  document.addEventListener("click", (event) => {
    const log = document.getElementById("log");
    if (!event.target.closest?.(".follow") || !log) return;
    following = !following;
    if (following) scrollTo(log, hidden(log));
    offerToFollow();
  });

  // What an entry says, times and buttons aside: this script changes them.
  const words = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("time, button").forEach((one) => one.remove());
    return copy.innerHTML;
  };

  const restore = (main, before) => {
    for (const [id, open] of before.unfolded) {
      const one = document.getElementById(id);
      if (one) one.open = open;
    }
    for (const [id, left, top, atEnd] of before.scrolled) {
      const one = document.getElementById(id);
      if (one) { one.scrollLeft = left; scrollTo(one, atEnd && following ? hidden(one) : top); }
    }
    for (const [id, value] of before.inputs) {
      const one = document.getElementById(id);
      if (one) one.value = value;
    }
    for (const one of main.querySelectorAll("[data-key]")) {
      const old = before.texts.get(one.dataset.key), now = Date.now();
      const isChanged = old !== undefined ? old !== words(one) : before.texts.size > 0;
      // What takes long comes a moment after the rest: the marks of that stay their time.
      const since = isChanged ? now : Number(before.marked.get(one.dataset.key) ?? 0);
      if (now - since > MARKED) continue;
      one.classList.add("changed");
      one.dataset.since = since;
    }
    dress();
    if (before.focus) main.querySelector(before.focus)?.focus({ preventScroll: true });
    window.scrollTo(0, before.y);
  };

  const isReading = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && document.getElementById("main").contains(selection.anchorNode);
  };

  const show = (text) => {
    const next = new DOMParser().parseFromString(text, "text/html");
    const main = document.getElementById("main");
    const fresh = next.getElementById("main");
    if (!fresh) return "";
    const before = remember(main);
    if (words(main) !== words(fresh)) {
      main.replaceChildren(...fresh.childNodes);
      restore(main, before);
    }
    const foot = document.getElementById("tip"), freshFoot = next.getElementById("tip");
    if (foot && freshFoot) foot.replaceWith(freshFoot);
    document.title = next.title;
    document.body.dataset.run = next.body.dataset.run ?? "";
    return next.body.dataset.tip;
  };

  // A page of the past follows nothing, but what takes long fills in.
  const fill = async () => {
    if (!tip.endsWith("~")) return;
    const page = await fetch(location.href, { headers: { Accept: "text/html" } });
    tip = show(await page.text()) || tip;
    setTimeout(fill, EVERY);
  };

  const look = async () => {
    if (document.hidden || busy) return EVERY;
    busy = true;
    try {
      const run = document.body.dataset.run;  // one whose log goes on without any commit
      const answer = await fetch(run ? `/tip?run=${encodeURIComponent(run)}` : "/tip", { cache: "no-store" });
      const now = (await answer.text()).trim();
      if (answer.ok && now !== tip && !isReading()) {
        const page = await fetch(location.href, { headers: { Accept: "text/html" } });
        tip = show(await page.text()) || now;
      }
      say(live.dataset.following, false);
      return EVERY;
    } catch {
      say("the server does not answer", true);
      return AFTER_A_FAULT;
    } finally {
      busy = false;
    }
  };

  const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = (moment) => {
    const seconds = (Date.now() - moment) / 1000;
    for (const [unit, length] of UNITS) {
      const count = Math.floor(Math.abs(seconds) / length);
      if (count) {
        const amount = `${count} ${unit}${count === 1 ? "" : "s"}`;
        return seconds > 0 ? `${amount} ago` : `in ${amount}`;
      }
    }
    return "just now";
  };

  // The exact time, in the reader's own zone, on hover; and the times of a log in it.
  const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const CLOCK_TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const DAY_AND_TIME = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "short" });  // 2026-01-05 09:00
  const localise = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([data-local])")) {
      const moment = new Date(time.dateTime);
      if (isNaN(moment)) continue;
      time.dataset.local = "";
      time.title = `${EXACT.format(moment)} · ${time.title || time.textContent}`;
      if (time.matches(".clock")) time.textContent = DAY_AND_TIME.format(moment);
      if (time.closest(".log")) time.textContent = CLOCK_TIME.format(moment);
    }
  };

  const offerToCopy = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll(".copy[hidden]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.(".copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  const dress = () => { offerToFollow(); offerToCopy(); localise(); };

  const tick = () => {
    for (const time of document.querySelectorAll("time[datetime]:not([data-exact])")) {
      const text = relative(new Date(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // "/" goes to the search, "g" and a letter to a page, "?" shows the keys.
  let wasG = false;
  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/.test(document.activeElement?.localName ?? "");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = wasG && document.querySelector(`[data-goes="${CSS.escape(event.key)}"]`);
    wasG = event.key === "g";
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("q")?.focus();
    } else if (event.key === "?") {
      document.getElementById("keys").showModal();
    } else if (page) {
      page.click();
    }
  });

  // What one looks for may lie beyond the edge: the page's own name among the names, what failed or waits in a pipeline.
  for (const one of [".tabs [aria-current]", ".pipeline :is(.is-failed, .is-approval, .is-running)"]) {
    const found = document.querySelector(one), box = found?.closest(".tabs, .pipeline");
    if (box && box.scrollWidth > box.clientWidth) box.scrollLeft += found.getBoundingClientRect().right - box.getBoundingClientRect().right + 24;
  }

  dress();
  const isSite = document.body.dataset.site !== undefined;  // files that nobody serves: there is nothing to follow
  const follow = async () => { setTimeout(follow, await look()); };
  if (isSite) tick();
  else document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  if (!document.body.dataset.fixed) setInterval(tick, CLOCK);
  if (document.body.dataset.fixed) fill();
  else if (tip) follow();  // a page that says that something is not there follows nothing
})();
