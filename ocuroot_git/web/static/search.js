// The search of a site that no server serves: all words of the query, in any case and order, in what search-index.js
// lists: for each entry the number of its group, its text, what is said of it, and the file that it leads to.
"use strict";

(() => {
  const MOST = 50;
  const { groups, entries } = window.ocurootIndex;
  const found = document.getElementById("found"), field = document.getElementById("q"), told = document.getElementById("told");
  const folded = entries.map(([, text, detail]) => `${text} ${detail}`.toLowerCase());

  const element = (name, classes, text) => {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const row = ([, text, detail, file]) => {
    const link = element("a", "row"), item = element("li");
    link.href = `../${file}`;
    link.append(element("span", "row-main", text));
    if (detail) link.append(element("span", "row-side", detail));
    item.append(link);
    return item;
  };

  const show = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length ? entries.filter((_, at) => words.every((word) => folded[at].includes(word))) : [];
    found.replaceChildren(...groups.flatMap((name, number) => {
      const mine = hits.filter((entry) => entry[0] === number);
      if (!mine.length) return [];
      const section = element("section"), list = element("ul", "rows");
      list.append(...mine.slice(0, MOST).map(row));
      section.append(element("h2", "", name), list);
      if (mine.length > MOST) section.append(element("p", "more", `and ${mine.length - MOST} more`));
      return [section];
    }));
    told.textContent = words.length ? `${hits.length || "Nothing"} found` : "Type words: of packages, environments, tags, commits, people.";
  };

  field.value = new URLSearchParams(location.search).get("q") ?? "";
  field.addEventListener("input", show);
  show();
  field.focus();
})();
