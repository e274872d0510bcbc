/* A profile as tables: the tree of code lines and the list of functions. Only rows in sight are in the document,
   so that ten thousand lines open at once. They are the same data as the canvas, for who reads rather than looks. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var P = fmd.profile;
  var ROW = 30, SPARE = 6, INDENT = 11;

  function el(tag, className, text) {
    var made = document.createElement(tag);
    if (className) { made.className = className; }
    if (text !== undefined && text !== null) { made.textContent = text; }
    return made;
  }

  function bar(share, className) {
    var outer = el("span", "fmd-heat " + (className || "")), inner = el("span");
    inner.style.width = Math.max(0, Math.min(100, share * 100)) + "%";
    outer.setAttribute("aria-hidden", "true");
    outer.appendChild(inner);
    return outer;
  }

  function shareCell(share) {
    var cell = el("span", "fmd-share-cell");
    cell.appendChild(bar(share));
    cell.appendChild(el("span", "", P.percent(share)));
    return cell;
  }

  /* On the CPU and waiting, as parts of one bar. */
  function splitCell(cpu, total) {
    var cell = el("span", "fmd-split-cell"), part = total > 0 ? cpu / total : 0;
    cell.appendChild(bar(part, "fmd-split"));
    cell.appendChild(el("span", "", total > 0 ? Math.round(part * 100) + " %" : "–"));
    cell.title = P.duration(cpu) + " on the CPU, " + P.duration(total - cpu) + " waiting";
    return cell;
  }

  function changeCell(before, after) {
    var delta = after - before, cell = el("span", "fmd-change " + (delta > 0 ? "slower" : delta < 0 ? "faster" : ""));
    cell.textContent = delta === 0 ? "same" : (delta > 0 ? "+" : "") + P.duration(delta);
    return cell;
  }

  /* Columns: [title, width, cell(model, row), class]; the first takes what is left. */
  var TREE = {
    profile: [
      ["Duration", 68, function (m, i) { return P.duration(m.total[i]); }, "wide"],
      ["Share", 96, function (m, i) { return shareCell(m.total[i] / (m.total[0] || 1)); }],
      ["On CPU", 78, function (m, i) { return splitCell(m.cpu[i], m.total[i]); }, "roomy"],
      ["Own time", 68, function (m, i) { return m.self[i] ? P.duration(m.self[i]) : "–"; }, "roomy"],
      ["Samples", 60, function (m, i) { return m.hits[i] ? m.hits[i].toLocaleString("en-US") : "–"; }, "roomiest"],
    ],
    grouped: [
      ["Hits", 46, function (m, i) { return m.nodeN[i].toLocaleString("en-US"); }, "roomy"],
      ["Average", 66, function (m, i) { return P.duration(m.total[i] / (m.nodeN[i] || 1)); }, "wide"],
      ["Std. dev.", 66, function (m, i) { return m.sd[i] < 0 ? "–" : P.duration(m.sd[i]); }, "roomy"],
      ["Total", 66, function (m, i) { return P.duration(m.total[i]); }, "roomy"],
      ["Share", 96, function (m, i) { return shareCell(m.total[i] / (m.total[0] || 1)); }],
      ["On CPU", 78, function (m, i) { return splitCell(m.cpu[i], m.total[i]); }, "roomiest"],
    ],
    diff: [
      ["Before", 84, function (m, i) { return m.before[i] ? P.duration(m.before[i]) : "new"; }, "roomy"],
      ["After", 84, function (m, i) { return m.total[i] ? P.duration(m.total[i]) : "gone"; }, "roomy"],
      ["Change", 96, function (m, i) { return changeCell(m.before[i], m.total[i]); }],
    ],
  };
  var LIST = {
    plain: [
      ["Own time", 74, function (m, r) { return P.duration(r.self); }, "wide", "self"],
      ["Own share", 96, function (m, r) { return shareCell(r.self / (m.total[0] || 1)); }],
      ["With callees", 100, function (m, r) { return P.duration(r.total); }, "roomy", "total"],
      ["On CPU", 80, function (m, r) { return splitCell(r.cpu, r.self); }, "roomy", "cpu"],
      ["Samples", 66, function (m, r) { return r.hits.toLocaleString("en-US"); }, "roomiest", "hits"],
    ],
    diff: [
      ["Own before", 92, function (m, r) { return P.duration(r.selfBefore); }, "roomy", "selfBefore"],
      ["Own after", 92, function (m, r) { return P.duration(r.self); }, "roomy", "self"],
      ["Change", 96, function (m, r) { return changeCell(r.selfBefore, r.self); }, "", "delta"],
      ["With callees", 100, function (m, r) { return changeCell(r.before, r.total); }, "roomy", "deltaTotal"],
    ],
  };

  function codeText(m, i) {
    var cell = el("span", "fmd-code"), text = P.source(m, i);
    cell.appendChild(el("code", text ? "" : "fmd-code-name", text || P.name(m, i)));
    if (text) { cell.appendChild(el("span", "fmd-faint", P.name(m, i))); }
    if (P.place(m, i)) { cell.appendChild(el("span", "fmd-faint fmd-place", P.place(m, i))); }
    return cell;
  }

  function Table(explorer, host) {
    var self = {}, rows = [], kind = "tree", open = new Set(), sort = null, columns = [], room = 0;
    var head = el("div", "fmd-rows-head"), box = el("div", "fmd-rows"), space = el("div", "fmd-rows-space");
    var id = "fmd-rows-" + Math.random().toString(36).slice(2, 8);
    box.tabIndex = 0;
    box.appendChild(space);
    host.appendChild(head);
    host.appendChild(box);

    /* Narrow tables leave columns out; the template has to know. */
    function width(list) {
      room = host.clientWidth;
      return "minmax(0,1fr) " + list.filter(function (one) {
        return !(room <= 620 && /^room/.test(one[3] || "")) && !(room <= 880 && one[3] === "roomiest") && !(room <= 460 && one[3] === "wide");
      }).map(function (one) { return (room <= 460 ? 62 : one[1]) + "px"; }).join(" ");
    }

    /* The rows that are open, or the functions in the order asked for. */
    function collect() {
      var m = explorer.model, i;
      rows = [];
      if (kind === "tree") {
        for (i = 1; i < m.count;) {
          if (m.total[i] > 0 || m.before[i] > 0) { rows.push(i); }
          i = open.has(i) ? i + 1 : m.end[i];
        }
      } else if (kind === "removed") {
        rows = P.removed(m);
      } else {
        rows = P.top(m, kind === "lines").filter(function (r) { return r.self || r.selfBefore || r.total; });
        rows.forEach(function (r) { r.delta = r.self - r.selfBefore; r.deltaTotal = r.total - r.before; });
        var by = sort || (m.kind === "diff" ? "delta" : "self");
        rows.sort(function (a, b) { return b[by] - a[by]; });
        if (explorer.matches) { rows = rows.filter(function (r) { return explorer.matches.hit[r.node]; }); }
      }
      columns = kind === "tree" || kind === "removed" ? TREE[m.kind] || TREE.profile : LIST[m.kind === "diff" ? "diff" : "plain"];
    }

    function header(template) {
      head.textContent = "";
      head.style.setProperty("--columns", template);
      head.setAttribute("aria-hidden", "true");
      head.appendChild(el("span", "", kind === "functions" ? "Function" : "Code line"));
      columns.forEach(function (column) {
        var cell;
        if (column[4]) {
          cell = el("button", "fmd-sort " + column[3], column[0]);
          cell.type = "button";
          cell.tabIndex = -1;
          var by = sort || (explorer.model.kind === "diff" ? "delta" : "self");
          if (by === column[4]) { cell.classList.add("on"); }
          cell.addEventListener("click", function () { sort = column[4]; self.update(); });
        } else { cell = el("span", column[3] || "", column[0]); }
        head.appendChild(cell);
      });
    }

    function nodeOf(row) { return typeof row === "number" ? row : row.node; }

    function rowOf(index) {
      var m = explorer.model, row = rows[index], i = nodeOf(row), made = el("div", "fmd-row");
      made.id = id + "-" + index;
      made.style.top = index * ROW + "px";
      made.setAttribute("role", "row");
      made.setAttribute("aria-rowindex", index + 1);
      made.dataset.node = i;
      made.title = [P.source(m, i), P.name(m, i), P.place(m, i)].filter(Boolean).join("\n");
      var selected = kind === "functions" ? P.name(m, explorer.selected) === row.name && P.file(m, explorer.selected) === row.file : i === explorer.selected;
      made.setAttribute("aria-selected", selected);
      if (explorer.matches) { made.classList.add(explorer.matches.hit[i] ? "match" : "dim"); }
      var first = el("span", "fmd-row-first");
      first.setAttribute("role", "gridcell");
      if (kind === "tree") {
        made.setAttribute("aria-level", m.depth[i]);
        first.style.paddingLeft = Math.min(m.depth[i] - 1, 40) * (room <= 460 ? INDENT / 2 : INDENT) + "px";
        var leaf = m.end[i] === i + 1;
        if (!leaf) { made.setAttribute("aria-expanded", open.has(i)); }
        first.appendChild(el("span", "fmd-twist" + (leaf ? " leaf" : open.has(i) ? " open" : "")));
      }
      if (kind === "functions") {
        var cell = el("span", "fmd-code");
        cell.appendChild(el("code", "fmd-code-name", row.name));
        cell.appendChild(el("span", "fmd-faint fmd-place", row.file || ""));
        first.appendChild(cell);
      } else { first.appendChild(codeText(m, i)); }
      var mark = el("span", "fmd-mark");
      mark.style.background = fmd.flame.colorOf(m, i, explorer.colors, explorer.palette);
      first.insertBefore(mark, first.lastChild);
      made.appendChild(first);
      columns.forEach(function (column) {
        var inside = column[2](m, row), cell = el("span", "fmd-cell " + (column[3] || ""));
        cell.setAttribute("role", "gridcell");
        if (typeof inside === "string") { cell.textContent = inside; } else { cell.appendChild(inside); }
        made.appendChild(cell);
      });
      return made;
    }

    function paint() {
      var from = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
      var to = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + SPARE);
      var made = document.createDocumentFragment();
      for (var k = from; k < to; k++) { made.appendChild(rowOf(k)); }
      space.textContent = "";
      space.appendChild(made);
      var here = place(explorer.selected);
      if (here >= from && here < to) { box.setAttribute("aria-activedescendant", id + "-" + here); } else { box.removeAttribute("aria-activedescendant"); }
    }

    function place(i) {
      for (var k = 0; k < rows.length; k++) { if (nodeOf(rows[k]) === i) { return k; } }
      return -1;
    }

    function update() {
      collect();
      var template = width(columns); // the one look at the layout, before anything changes it
      header(template);
      space.style.height = rows.length * ROW + "px";
      space.style.setProperty("--columns", template);
      box.setAttribute("role", kind === "tree" ? "treegrid" : "grid");
      box.setAttribute("aria-label", { tree: "Code lines as a tree", functions: "Functions", removed: "Removed paths", lines: "Lines" }[kind]);
      box.setAttribute("aria-rowcount", rows.length);
      box.style.height = Math.max(2, Math.min(rows.length, 18)) * ROW + "px";
      paint();
    }

    function show(i) {
      var k = place(i);
      if (k < 0) { return; }
      var y = k * ROW;
      if (y < box.scrollTop) { box.scrollTop = y; }
      if (y + ROW > box.scrollTop + box.clientHeight) { box.scrollTop = y + ROW - box.clientHeight; }
    }

    /* Opens all callers of a frame, so that it has a row. */
    function openTo(i) {
      var m = explorer.model;
      for (var p = m.parent[i]; p > 0; p = m.parent[p]) { open.add(p); }
    }

    function toggle(i) {
      if (open.has(i)) { open.delete(i); } else { open.add(i); }
      update();
      explorer.remember();
    }

    box.addEventListener("scroll", paint, { passive: true });
    box.addEventListener("click", function (event) {
      var row = event.target.closest(".fmd-row");
      if (!row) { return; }
      var i = Number(row.dataset.node);
      if (event.target.closest(".fmd-twist") && explorer.model.end[i] > i + 1) { toggle(i); return; }
      explorer.select(i, self);
    });
    box.addEventListener("dblclick", function (event) {
      var row = event.target.closest(".fmd-row");
      if (row && kind === "tree") { toggle(Number(row.dataset.node)); }
    });
    box.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
      var m = explorer.model, k = place(explorer.selected), i = explorer.selected, next = -1;
      if (event.key === "ArrowDown") { next = Math.min(rows.length - 1, k + 1); }
      else if (event.key === "ArrowUp") { next = Math.max(0, k - 1); }
      else if (event.key === "Home") { next = 0; }
      else if (event.key === "End") { next = rows.length - 1; }
      else if (kind === "tree" && event.key === "ArrowRight" && k >= 0) {
        if (m.end[i] === i + 1) { return; }
        if (!open.has(i)) { toggle(i); } else { next = k + 1; }
      } else if (kind === "tree" && event.key === "ArrowLeft" && k >= 0) {
        if (open.has(i)) { toggle(i); } else if (m.parent[i] > 0) { next = place(m.parent[i]); }
      } else if (event.key === "Enter" && i > 0) { explorer.zoomTo(i); }
      else { return; }
      event.preventDefault();
      if (next >= 0 && rows.length) { explorer.select(nodeOf(rows[next]), self); show(nodeOf(rows[next])); }
    });

    self.kind = function (wanted) { kind = wanted; sort = null; box.scrollTop = 0; update(); };
    self.expandAll = function () {
      for (var i = 1; i < explorer.model.count; i++) { if (explorer.model.end[i] > i + 1) { open.add(i); } }
      update();
      explorer.remember();
    };
    self.collapseAll = function () { open.clear(); update(); explorer.remember(); };
    self.openPath = function (list) { list.forEach(function (i) { open.add(i); }); update(); };
    self.reset = function () { open.clear(); };
    self.opened = function () { return Array.from(open, function (i) { return explorer.model.way[i]; }); };
    self.reopen = function (ways) {
      var wanted = new Set(ways), m = explorer.model;
      for (var i = 1; i < m.count; i++) { if (wanted.has(m.way[i])) { open.add(i); } }
      update();
    };
    self.selected = function (i, origin) {
      if (kind === "tree" && origin !== self) { openTo(i); update(); show(i); } else { paint(); }
    };
    self.searched = function (matches) {
      if (matches && kind === "tree") { // ways to what matches, as long as one can still read them
        var shown = 0, m = explorer.model;
        for (var i = 1; i < m.count && shown < 300; i++) { if (matches.hit[i]) { openTo(i); shown++; } }
      }
      update();
    };
    self.update = update;
    self.paint = paint;
    self.sized = function () {
      var template = width(columns);
      head.style.setProperty("--columns", template);
      space.style.setProperty("--columns", template);
      paint();
    };
    self.box = box;
    return self;
  }

  fmd.profileTable = { Table: Table, el: el, bar: bar };
})();
