/* Puts a profile together: search, graph, tables, and the selected line. One state, which all of them show. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var clientside = (window.dash_clientside = window.dash_clientside || {});
  var P = fmd.profile, el = fmd.profileTable.el;
  var PATIENCE_MS = 10000; // for the element of a profile
  clientside.fmd = clientside.fmd || {};

  function param(name) { return new URLSearchParams(window.location.search).get(name) || ""; }

  /* What changes only the look stays in the address without a step in the history. */
  function keep(name, value) {
    var changes = {};
    changes[name] = value || null;
    window.history.replaceState({}, "", fmd.edit(changes));
  }

  function segments(label, options, chosen, act) {
    var box = el("div", "fmd-segments");
    box.setAttribute("role", "radiogroup");
    box.setAttribute("aria-label", label);
    options.forEach(function (option) {
      var button = el("button", "", option[1]);
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", option[0] === chosen);
      button.addEventListener("click", function () {
        box.querySelectorAll("button").forEach(function (one) { one.setAttribute("aria-checked", one === button); });
        act(option[0]);
      });
      box.appendChild(button);
    });
    return box;
  }

  function action(text, title, act) {
    var button = el("button", "fmd-button", text);
    button.type = "button";
    button.title = title;
    button.addEventListener("click", act);
    return button;
  }

  /* What somebody did to a profile, for when newer data take its place: a refresh must not zoom out. */
  var memory = {};

  function Explorer(host) {
    var self = { model: null, zoom: 0, selected: 0, hovered: -1, matches: null, colors: "package", editor: "" };
    var graph = null, table = null, source = null, asked = 0, parts = {};

    function build() {
      host.textContent = "";
      parts.bar = el("div", "fmd-profile-bar");
      parts.search = el("input", "fmd-profile-search");
      parts.search.type = "search";
      parts.search.placeholder = "Search frames  ( / )";
      parts.search.setAttribute("aria-label", "Search frames");
      parts.search.dataset.filter = "true";
      parts.found = el("span", "fmd-profile-found");
      parts.found.setAttribute("role", "status");
      parts.graphs = el("div", "fmd-profile-graphs");
      parts.crumbs = el("nav", "fmd-crumbs");
      parts.crumbs.setAttribute("aria-label", "Zoomed into");
      parts.graph = el("div", "fmd-profile-graph");
      parts.legend = el("div", "fmd-legend");
      parts.lower = el("div", "fmd-profile-lower");
      parts.list = el("div", "fmd-profile-list");
      parts.tabs = el("div", "fmd-profile-tabs");
      parts.rows = el("div");
      parts.detail = el("aside");
      parts.tip = el("div", "fmd-tip");
      parts.tip.hidden = true;
      parts.said = el("div", "fmd-visually-hidden");
      parts.said.setAttribute("aria-live", "polite");
      [parts.search, parts.found, parts.graphs].forEach(function (one) { parts.bar.appendChild(one); });
      parts.list.appendChild(parts.tabs);
      parts.list.appendChild(parts.rows);
      parts.lower.appendChild(parts.list);
      parts.lower.appendChild(parts.detail);
      [parts.bar, parts.crumbs, parts.graph, parts.legend, parts.lower, parts.tip, parts.said].forEach(function (one) { host.appendChild(one); });
      table = fmd.profileTable.Table(self, parts.rows);
      source = fmd.profileSource.Source(self, parts.detail);
      parts.search.value = param("q");
      parts.search.addEventListener("input", function () { self.search(parts.search.value); });
      parts.search.addEventListener("keydown", function (event) {
        if (event.key === "Escape") {
          parts.search.value = "";
          self.search("");
          keep("q", "");
          parts.search.blur();
        }
      });
      watch();
    }

    /* New sizes and themes draw anew, as long as the page still shows this profile. */
    function watch() {
      function again() {
        if (!host.isConnected) {
          sizes.disconnect();
          themes.disconnect();
          window.removeEventListener("resize", again);
          return;
        }
        if (table && self.model) { table.sized(); }
        self.draw();
      }
      var sizes = new ResizeObserver(again), themes = new MutationObserver(function () { legend(); again(); });
      sizes.observe(parts.graph);
      themes.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
      window.addEventListener("resize", again); // also when a window moves to a screen with other pixels
    }

    /* Of a way down, the last line that one can change: one's own. */
    function pointed(found) {
      var own = found.filter(function (i) { return P.group(self.model, i) === "your code"; });
      return own.concat(found.slice(-1), [0])[own.length ? own.length - 1 : 0];
    }

    function showGraph(kind) {
      parts.graph.textContent = "";
      graph = kind === "sunburst" ? fmd.sunburst.Sunburst(self, parts.graph) : fmd.flame.Flame(self, parts.graph);
      self.graph = graph;
      var canvas = graph.canvas;
      canvas.addEventListener("pointermove", function (event) {
        if (event.pointerType === "touch") { return; }
        var at = graph.at(event.offsetX, event.offsetY);
        if (at !== self.hovered) { self.hover(at); }
        if (at >= 0) { placeTip(event.clientX, event.clientY); }
        canvas.style.cursor = at >= 0 ? "pointer" : "default";
      });
      canvas.addEventListener("pointerleave", function () { self.hover(-1); });
      canvas.addEventListener("click", function (event) {
        var at = graph.at(event.offsetX, event.offsetY);
        if (at < 0) { return; }
        self.hover(-1);
        self.zoomTo(at);
        self.select(at);
      });
      canvas.addEventListener("keydown", keys);
      canvas.addEventListener("blur", function () { self.hover(-1); });
      describe();
      self.draw();
    }

    function keys(event) {
      if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
      var m = self.model;
      if (/^(Arrow(Up|Down|Left|Right)|Home)$/.test(event.key)) {
        var next = P.step(m, Math.max(0, self.selected), event.key);
        if (!P.within(m, next, self.zoom) && !P.within(m, self.zoom, next)) { self.zoomTo(m.parent[next]); }
        self.select(next);
        graph.reveal(next);
        var spot = graph.spot(next), box = graph.canvas.getBoundingClientRect();
        self.hover(next);
        placeTip(box.left + spot.x + 12, box.top + spot.y + spot.h);
      } else if (event.key === "Enter") {
        self.zoomTo(self.selected);
      } else if (event.key === "Escape") {
        if (self.matches) { parts.search.value = ""; self.search(""); keep("q", ""); } else { self.zoomTo(0); }
      } else { return; }
      event.preventDefault();
      event.stopPropagation();
    }

    /* The canvas in words, for who does not see it: what it is, what is in it, and where to read the rest. */
    function describe() {
      var m = self.model, most = P.top(m).sort(function (a, b) { return b.self - a.self; }).slice(0, 3);
      var words = most.map(function (row) { return row.name + " " + P.percent(row.self / (m.total[0] || 1)); }).join(", ");
      graph.canvas.setAttribute("aria-label", (param("graph") === "sunburst" ? "Sunburst" : "Flame graph") + " of " + m.title + ": " +
        P.duration(m.total[0]) + " in " + (m.count - 1).toLocaleString("en-US") + " frames. Most own time: " + words +
        ". Arrow keys move, Enter zooms, Escape shows all. The table below holds the same.");
    }

    function legend() {
      var m = self.model, box = parts.legend, sums = {}, pal;
      if (!m) { return; }
      pal = self.palette = fmd.flame.palette();
      box.textContent = "";
      function entry(color, text) {
        var one = el("span", "fmd-legend-entry"), mark = el("span", "fmd-mark");
        mark.style.background = color;
        one.appendChild(mark);
        one.appendChild(document.createTextNode(text));
        box.appendChild(one);
      }
      if (m.kind === "diff") {
        entry(pal.dark ? "#c43e34" : "#f67466", "slower");
        entry(pal.dark ? "#2c62be" : "#68a0f5", "faster");
        entry(pal.dark ? "#7b4fa8" : "#cda8ee", "new");
        box.appendChild(el("span", "fmd-faint", "As wide as now; the strength of the colour says by how much it changed"));
        return;
      }
      if (self.colors === "cpu") {
        entry(pal.dark ? "rgb(190,88,32)" : "rgb(255,159,88)", "on the CPU");
        entry(pal.dark ? "rgb(50,82,140)" : "rgb(165,200,245)", "waiting");
        return;
      }
      for (var i = 1; i < m.count; i++) {
        var group = P.group(m, i);
        if (!group) { continue; }
        sums[group] = sums[group] || { us: 0, node: i, widest: -1 };
        sums[group].us += m.self[i];
        if (m.self[i] > sums[group].widest) { sums[group].widest = m.self[i]; sums[group].node = i; }
      }
      Object.keys(sums).sort(function (a, b) { return sums[b].us - sums[a].us; }).slice(0, 7).forEach(function (group) {
        entry(fmd.flame.colorOf(m, sums[group].node, "package", pal), group + " " + P.percent(sums[group].us / (m.total[0] || 1)));
      });
    }

    function crumbs() {
      var m = self.model, box = parts.crumbs;
      box.textContent = "";
      if (!self.zoom) { return; }
      P.path(m, self.zoom).forEach(function (i) {
        var button = el("button", "", P.name(m, i));
        button.type = "button";
        button.title = P.place(m, i);
        if (i === self.zoom) { button.setAttribute("aria-current", "true"); }
        button.addEventListener("click", function () { self.zoomTo(i); self.select(i); });
        box.appendChild(button);
      });
      box.scrollLeft = box.scrollWidth;
    }

    function tip(i) {
      var m = self.model, box = parts.tip;
      box.hidden = i < 0;
      if (i < 0) { return; }
      box.textContent = "";
      box.appendChild(el("strong", "", P.name(m, i)));
      if (P.place(m, i)) { box.appendChild(el("div", "fmd-tip-place", P.place(m, i))); }
      if (P.source(m, i)) { box.appendChild(el("code", "", P.source(m, i))); }
      if (m.kind === "diff") {
        var delta = m.total[i] - m.before[i];
        box.appendChild(el("div", "", P.duration(m.before[i]) + " → " + P.duration(m.total[i]) + "  (" + (delta > 0 ? "+" : "") + P.duration(delta) + ")"));
        return;
      }
      box.appendChild(el("div", "", P.duration(m.total[i]) + " · " + P.percent(m.total[i] / (m.total[0] || 1)) + " of the time"));
      box.appendChild(el("div", "fmd-tip-place", "own " + P.duration(m.self[i]) + " · on the CPU " + P.duration(m.cpu[i]) + " · waiting " + P.duration(m.total[i] - m.cpu[i])));
    }

    function placeTip(x, y) {
      var box = parts.tip, w = box.offsetWidth, h = box.offsetHeight;
      box.style.left = Math.max(6, Math.min(x + 14, window.innerWidth - w - 8)) + "px";
      box.style.top = (y + 18 + h > window.innerHeight ? y - h - 12 : y + 18) + "px";
    }

    function lists() {
      var m = self.model, chosen = param("list") || "tree", options = [["tree", "Code lines"], ["functions", "Functions"]];
      if (m.kind === "diff") { options.push(["removed", "Removed paths (" + P.removed(m).length + ")"]); }
      if (!options.some(function (one) { return one[0] === chosen; })) { chosen = "tree"; }
      parts.tabs.textContent = "";
      parts.tabs.appendChild(segments("Table", options, chosen, function (kind) {
        keep("list", kind === "tree" ? "" : kind);
        table.kind(kind);
        tree.hidden = kind !== "tree";
      }));
      var tree = el("span", "fmd-profile-actions");
      tree.appendChild(action("Hottest path", "Open the way down where most of the time went", function () {
        var found = P.hottest(m, 0);
        table.reset();
        table.openPath(found);
        self.select(pointed(found));
      }));
      tree.appendChild(action("Expand all", "Open all lines", table.expandAll));
      tree.appendChild(action("Collapse all", "Close all lines", table.collapseAll));
      tree.hidden = chosen !== "tree";
      parts.tabs.appendChild(tree);
      table.reset();
      table.kind(chosen);
    }

    function graphs() {
      var chosen = param("graph") || "flame";
      parts.graphs.textContent = "";
      if (self.model.kind !== "diff") {
        parts.graphs.appendChild(segments("Colours", [["package", "By package"], ["cpu", "CPU / waiting"]], self.colors, function (mode) {
          self.colors = mode;
          remember();
          legend();
          table.paint();
          self.draw();
        }));
      }
      parts.graphs.appendChild(segments("Graph", [["flame", "Flame graph"], ["sunburst", "Sunburst"]], chosen, function (kind) {
        keep("graph", kind === "flame" ? "" : kind);
        showGraph(kind);
      }));
      showGraph(chosen);
    }

    function remember() {
      memory[host.dataset.profile] = { page: window.location.pathname, zoom: self.model.way[self.zoom],
        selected: self.model.way[self.selected], opened: table.opened(), colors: self.colors };
    }

    function remembered() {
      var found = memory[host.dataset.profile];
      return found && found.page === window.location.pathname ? found : null;
    }

    self.remember = remember;
    self.draw = function () {
      if (asked || !graph) { return; }
      asked = window.requestAnimationFrame(function () { asked = 0; if (host.isConnected) { graph.draw(); } });
    };
    self.zoomTo = function (i) {
      self.zoom = Math.max(0, i);
      crumbs();
      self.draw();
      remember();
    };
    self.select = function (i, origin) {
      self.selected = i;
      table.selected(i, origin);
      source.show(i);
      parts.said.textContent = P.name(self.model, i) + ", " + P.duration(self.model.total[i]) + ", " + P.percent(self.model.total[i] / (self.model.total[0] || 1));
      if (origin === table && !P.within(self.model, i, self.zoom)) { self.zoomTo(0); }
      remember();
      self.draw();
    };
    self.hover = function (i) {
      self.hovered = i;
      tip(i);
      self.draw();
    };
    self.search = function (text) {
      self.matches = P.search(self.model, text);
      parts.found.textContent = !self.matches ? "" : self.matches.nodes
        ? P.percent(self.matches.share) + " of the time in " + self.matches.nodes.toLocaleString("en-US") + (self.matches.nodes === 1 ? " frame" : " frames")
        : "nothing found";
      table.searched(self.matches);
      self.draw();
    };
    self.load = function (payload) {
      self.model = P.decode(payload);
      self.editor = payload.editor || "";
      self.zoom = 0;
      self.hovered = -1;
      self.palette = fmd.flame.palette();
      if (!table) { build(); }
      var before = remembered();
      self.colors = before ? before.colors : self.colors;
      lists();
      graphs();
      legend();
      crumbs();
      var found = P.hottest(self.model, 0);
      if (before) { table.reopen(before.opened); } else { table.openPath(found); }
      self.select(before && P.find(self.model, before.selected) || pointed(found));
      if (before && P.find(self.model, before.zoom)) { self.zoomTo(P.find(self.model, before.zoom)); }
      table.box.scrollTop = 0;
      if (param("q")) { self.search(param("q")); }
      host.dataset.ready = "true";
    };
    return self;
  }

  /* The store of a profile has come, or has changed: it is drawn into the element of its name. */
  var newest = {};
  clientside.fmd.profile = function (payload) {
    var name = clientside.callback_context.inputs_list[0].id.name;
    newest[name] = payload;
    draw(name, payload, performance.now() + PATIENCE_MS);
    return clientside.no_update;
  };

  function draw(name, payload, until) {
    var host = document.querySelector('[data-profile="' + name + '"]');
    if (!payload || payload !== newest[name]) { return; }
    if (!host) { // its element comes with the same answer, but may come later
      if (performance.now() < until) { window.requestAnimationFrame(function () { draw(name, payload, until); }); }
      return;
    }
    if (host.fmdPayload === payload && host.firstChild) { return; }
    host.fmdPayload = payload;
    host.fmdExplorer = host.fmdExplorer && host.firstChild ? host.fmdExplorer : Explorer(host);
    host.fmdExplorer.load(payload);
  }
})();
