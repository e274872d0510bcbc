/* Flame graph on a canvas: callers above callees, as wide as the time they took. Draws what is in sight only. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var P = fmd.profile;
  var ROW = 20, LEAST = 0.5, PAD = 5;

  function isDark() { return document.documentElement.getAttribute("data-mantine-color-scheme") === "dark"; }

  function palette() {
    var style = getComputedStyle(document.documentElement), dark = isDark();
    function css(name) { return style.getPropertyValue(name).trim(); }
    return { dark: dark, text: css("--fmd-text"), dimmed: css("--fmd-dimmed"), line: css("--fmd-line"), card: css("--fmd-card"),
      accent: css("--fmd-accent"), onBar: dark ? "#f4f5f7" : "#16181b", root: dark ? "#34383e" : "#e4e7ec",
      none: dark ? "#3f444b" : "#d5d9df", match: dark ? "#e64980" : "#d6336c" };
  }

  /* The colour of a frame; that of a line is worked out once for each look. */
  function colorOf(m, i, mode, pal) {
    if (m.kind === "diff") { return diffColor(m, i, pal); }
    var f = m.frame[i];
    if (f < 0) { return pal.root; }
    if (mode === "cpu") { return cpuColor(m, i, pal); }
    var key = mode + pal.dark, known = m.colors && m.colors.key === key ? m.colors : (m.colors = { key: key, of: [] });
    return known.of[f] || (known.of[f] = packageColor(m, i, pal));
  }

  function cpuColor(m, i, pal) {
    return blend(pal.dark ? [50, 82, 140] : [165, 200, 245], pal.dark ? [190, 88, 32] : [255, 159, 88], m.total[i] ? m.cpu[i] / m.total[i] : 0);
  }

  /* By whose code it is: ours warm, each library a cool hue of its own, the standard library grey. */
  function packageColor(m, i, pal) {
    var group = P.group(m, i);
    if (!group) { return P.file(m, i) ? pal.none : pal.root; }
    var key = m.frames[m.frame[i]];
    var vary = P.hash(key[0]) % 10;
    if (group === "your code") { return "hsl(" + (18 + vary * 2.6) + "," + (pal.dark ? "68%," : "92%,") + (pal.dark ? 37 + vary % 5 : 68 + vary % 6) + "%)"; }
    if (group === "standard library") { return "hsl(215," + (pal.dark ? "9%," : "14%,") + (pal.dark ? 31 + vary % 5 : 78 + vary % 6) + "%)"; }
    return "hsl(" + (165 + P.hash(group) % 150) + "," + (pal.dark ? "32%," : "48%,") + (pal.dark ? 32 + vary % 6 : 76 + vary % 6) + "%)";
  }

  /* Blue is faster, red is slower, purple is new: told apart by people who see red and green as one. */
  function diffColor(m, i, pal) {
    var was = m.before[i], is = m.total[i];
    if (i > 0 && was === 0 && is > 0) { return pal.dark ? "#7b4fa8" : "#cda8ee"; }
    var change = Math.max(was, is) ? (is - was) / Math.max(was, is) : 0;
    var strength = Math.min(1, Math.abs(change) * 1.6);
    if (Math.abs(is - was) < m.total[0] * 0.002) { strength *= 0.3; }
    var rest = pal.dark ? [70, 75, 82] : [226, 229, 233];
    return blend(rest, change > 0 ? (pal.dark ? [196, 62, 52] : [246, 116, 102]) : (pal.dark ? [44, 98, 190] : [104, 160, 245]), strength);
  }

  /* In thirty-two steps: nobody sees more, and as many fills draw it all. */
  function blend(a, b, t) {
    t = Math.round(t * 32) / 32;
    return "rgb(" + a.map(function (v, k) { return Math.round(v + (b[k] - v) * t); }).join(",") + ")";
  }

  /* Text cut so that it fits; widths are measured once a text. */
  function Fitter(context) {
    var widths = new Map();
    function width(text) {
      var w = widths.get(text);
      if (w === undefined) {
        if (widths.size > 20000) { widths.clear(); }
        widths.set(text, w = context.measureText(text).width);
      }
      return w;
    }
    return function (text, room) {
      var whole = width(text);
      if (whole <= room) { return text; }
      var count = Math.floor(text.length * (room - 8) / whole);
      while (count > 1 && width(text.slice(0, count) + "…") > room) { count--; }
      return count > 1 ? text.slice(0, count) + "…" : "";
    };
  }

  /* What flame graph and sunburst have in common: a canvas that keeps its size, its theme and the keyboard. */
  function Surface(explorer, className, height) {
    var canvas = document.createElement("canvas");
    canvas.className = className;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    var context = canvas.getContext("2d");
    return {
      canvas: canvas, context: context,
      /* Sets the size in CSS pixels; one pixel of the canvas is one of the screen. */
      size: function (width, wanted) {
        var ratio = window.devicePixelRatio || 1, h = wanted || height;
        var w = Math.max(1, Math.floor(width));
        if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
          canvas.width = Math.round(w * ratio);
          canvas.height = Math.round(h * ratio);
          canvas.style.width = w + "px";
          canvas.style.height = h + "px";
        }
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.clearRect(0, 0, w, h);
        return { w: w, h: h };
      },
    };
  }

  function Flame(explorer, host) {
    var box = document.createElement("div"), space = document.createElement("div");
    box.className = "fmd-flame-scroll";
    space.className = "fmd-flame-space";
    var surface = Surface(explorer, "fmd-flame", 300), canvas = surface.canvas, c = surface.context;
    var fit = null, font = "", drawn = [], self = { draws: 0 };
    space.appendChild(canvas);
    box.appendChild(space);
    host.appendChild(box);

    function draw() {
      var began = performance.now(), m = explorer.model, width = box.clientWidth;
      if (!m || !width) { return; }
      var rows = m.maxDepth + 1, height = Math.min(rows * ROW, parseInt(getComputedStyle(box).maxHeight, 10) || 560);
      space.style.height = rows * ROW + "px";
      var area = surface.size(width, height), pal = palette(), zoom = explorer.zoom, top = box.scrollTop;
      var wantedFont = "12px " + (getComputedStyle(document.body).fontFamily || "sans-serif");
      c.font = wantedFont;
      if (font !== wantedFont) { font = wantedFont; fit = Fitter(c); }
      c.textBaseline = "middle";
      var span = m.total[zoom] || 1, scale = area.w / span, from = m.start[zoom], matches = explorer.matches, count = 0;
      drawn = [];
      for (var d = 0; d < rows; d++) { drawn.push([]); }
      var last = Math.floor((top + height) / ROW), first = Math.floor(top / ROW);

      // Bars of one colour are filled together: setting a colour costs more than a bar does.
      var fills = new Map(), texts = [], pale = matches ? 0.28 : 0.5;
      function bar(i, x, w, above) {
        var depth = m.depth[i], y = depth * ROW - top;
        drawn[depth].push(i, x, w);
        count++;
        if (depth < first || depth > last) { return; }
        var hit = matches && matches.hit[i], dim = above || (matches && !hit);
        var color = hit ? pal.match : colorOf(m, i, explorer.colors, pal), key = dim ? color + "~" : color;
        var list = fills.get(key);
        if (!list) { fills.set(key, list = { color: color, alpha: dim ? pale : 1, at: [] }); }
        list.at.push(x, y, w > 2 ? w - 1 : w);
        if (w > 26) { texts.push(i, x, y, w, hit ? 1 : 0, dim ? 1 : 0); }
      }

      function paint() {
        fills.forEach(function (list) {
          c.globalAlpha = list.alpha;
          c.fillStyle = list.color;
          for (var k = 0; k < list.at.length; k += 3) { c.fillRect(list.at[k], list.at[k + 1], list.at[k + 2], ROW - 1); }
        });
        for (var k = 0; k < texts.length; k += 6) { write(texts[k], texts[k + 1], texts[k + 2], texts[k + 3], texts[k + 4], texts[k + 5]); }
      }

      function write(i, x, y, w, hit, dim) {
        var label = P.name(m, i), where = w > 220 && P.place(m, i), text = fit(label, w - 2 * PAD);
        c.globalAlpha = dim ? 0.55 : 1;
        c.fillStyle = hit ? "#fff" : pal.onBar;
        c.fillText(text, x + PAD, y + ROW / 2);
        if (where && text === label) {
          var used = c.measureText(label).width + 10;
          if (w - used > 90) {
            c.globalAlpha *= 0.62;
            c.fillText(fit(where, w - used - 2 * PAD), x + PAD + used, y + ROW / 2);
          }
        }
      }

      P.path(m, zoom).forEach(function (i) { if (i !== zoom) { bar(i, 0, area.w, true); } });
      for (var i = zoom; i < m.end[zoom];) {
        var w = m.total[i] * scale;
        if (w < LEAST) { i = m.end[i]; continue; } // what it calls is narrower still
        bar(i, (m.start[i] - from) * scale, w, false);
        i++;
      }
      paint();
      c.globalAlpha = 1;
      outline(explorer.selected, pal.accent, 2, m, from, scale, area.w, top);
      if (explorer.hovered >= 0) { outline(explorer.hovered, pal.text, 1, m, from, scale, area.w, top); }
      self.draws++;
      self.ms = performance.now() - began;
      self.bars = count;
    }

    function outline(i, color, width, m, from, scale, full, top) {
      if (i < 0 || i === undefined) { return; }
      var above = P.within(m, explorer.zoom, i);
      if (!above && !P.within(m, i, explorer.zoom)) { return; }
      var x = above ? 0 : (m.start[i] - from) * scale, w = above ? full : m.total[i] * scale;
      c.strokeStyle = color;
      c.lineWidth = width;
      c.strokeRect(x + width / 2, m.depth[i] * ROW - top + width / 2, Math.max(1, w - 1 - width), ROW - 1 - width);
    }

    /* The frame at a point of the canvas, by what was drawn there. */
    function at(x, y) {
      var row = drawn[Math.floor((y + box.scrollTop) / ROW)] || [];
      for (var k = 0; k < row.length; k += 3) {
        if (x >= row[k + 1] && x < row[k + 1] + row[k + 2]) { return row[k]; }
      }
      return -1;
    }

    box.addEventListener("scroll", function () { explorer.hover(-1); self.draw(); }, { passive: true });
    self.canvas = canvas;
    self.at = at;
    self.draw = draw;
    self.spot = function (i) { // where a frame is, in CSS pixels of the canvas
      var m = explorer.model, scale = box.clientWidth / (m.total[explorer.zoom] || 1);
      return { x: Math.max(0, (m.start[i] - m.start[explorer.zoom]) * scale), y: m.depth[i] * ROW - box.scrollTop, h: ROW };
    };
    self.reveal = function (i) {
      var y = explorer.model.depth[i] * ROW;
      if (y < box.scrollTop) { box.scrollTop = Math.max(0, y - ROW); }
      if (y + ROW > box.scrollTop + box.clientHeight) { box.scrollTop = y + 2 * ROW - box.clientHeight; }
    };
    return self;
  }

  fmd.flame = { Flame: Flame, Surface: Surface, Fitter: Fitter, palette: palette, colorOf: colorOf };
})();
