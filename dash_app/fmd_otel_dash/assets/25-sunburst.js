/* Sunburst on a canvas: the frame in view in the middle, what it calls around it, as wide as the time it took. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var P = fmd.profile, F = fmd.flame;
  var RINGS = 9, HEIGHT = 460, LEAST = 0.004;

  function Sunburst(explorer, host) {
    var box = document.createElement("div");
    box.className = "fmd-sunburst-box";
    var surface = F.Surface(explorer, "fmd-sunburst", HEIGHT), canvas = surface.canvas, c = surface.context;
    var self = { draws: 0 }, geometry = null;
    box.appendChild(canvas);
    host.appendChild(box);

    function draw() {
      var began = performance.now(), m = explorer.model, width = box.clientWidth;
      if (!m || !width) { return; }
      var area = surface.size(width, Math.min(HEIGHT, Math.max(280, width))), pal = F.palette(), zoom = explorer.zoom;
      var deepest = 0, i;
      for (i = zoom; i < m.end[zoom]; i++) { deepest = Math.max(deepest, m.depth[i] - m.depth[zoom]); }
      var rings = Math.max(1, Math.min(RINGS, deepest)), outer = Math.min(area.w, area.h) / 2 - 4, inner = Math.max(46, outer * 0.2);
      geometry = { x: area.w / 2, y: area.h / 2, inner: inner, ring: (outer - inner) / rings, rings: rings, outer: outer };
      var span = m.total[zoom] || 1, from = m.start[zoom], matches = explorer.matches, bars = 0;
      c.font = "11px " + (getComputedStyle(document.body).fontFamily || "sans-serif");
      c.textBaseline = "middle";
      c.textAlign = "center";
      var fit = F.Fitter(c);
      for (i = zoom + 1; i < m.end[zoom];) {
        var angle = m.total[i] / span * 2 * Math.PI, level = m.depth[i] - m.depth[zoom];
        if (angle < LEAST || level > rings) { i = m.end[i]; continue; }
        var a = (m.start[i] - from) / span * 2 * Math.PI - Math.PI / 2, r = inner + (level - 1) * geometry.ring;
        c.globalAlpha = matches && !matches.hit[i] ? 0.25 : 1;
        c.fillStyle = matches && matches.hit[i] ? pal.match : F.colorOf(m, i, explorer.colors, pal);
        arc(a, a + angle, r, r + geometry.ring);
        c.fill();
        if (angle * r > 3) { // thinner ones would be all edge
          c.strokeStyle = pal.card;
          c.lineWidth = 1;
          c.stroke();
        }
        if (angle * (r + geometry.ring / 2) > 34 && geometry.ring > 22) { label(i, a + angle / 2, r, angle, fit, pal); }
        bars++;
        i++;
      }
      c.globalAlpha = 1;
      [explorer.selected, explorer.hovered].forEach(function (one, k) { outline(one, k ? pal.text : pal.accent, 2 - k, m, span, from, inner); });
      c.fillStyle = pal.text;
      c.font = "600 12px " + (getComputedStyle(document.body).fontFamily || "sans-serif");
      c.fillText(F.Fitter(c)(P.name(m, zoom), 2 * inner - 14), geometry.x, geometry.y - 9);
      c.fillStyle = pal.dimmed;
      c.fillText(P.duration(m.total[zoom]), geometry.x, geometry.y + 9);
      self.draws++;
      self.ms = performance.now() - began;
      self.bars = bars;
    }

    function arc(from, to, inside, outside) {
      c.beginPath();
      c.arc(geometry.x, geometry.y, outside, from, to);
      c.arc(geometry.x, geometry.y, inside, to, from, true);
      c.closePath();
    }

    function outline(i, color, width, m, span, from, inner) {
      if (!(i > 0) || !P.within(m, i, explorer.zoom) || i === explorer.zoom) { return; }
      var level = m.depth[i] - m.depth[explorer.zoom];
      if (level > geometry.rings) { return; }
      var a = (m.start[i] - from) / span * 2 * Math.PI - Math.PI / 2, r = inner + (level - 1) * geometry.ring;
      arc(a, a + m.total[i] / span * 2 * Math.PI, r, r + geometry.ring);
      c.strokeStyle = color;
      c.lineWidth = width;
      c.stroke();
    }

    /* Along the ring, and never upside down. */
    function label(i, middle, r, angle, fit, pal) {
      var m = explorer.model, radius = r + geometry.ring / 2;
      var around = angle * radius > 1.6 * geometry.ring;
      // Text is straight and a ring is not: near the middle less of it fits.
      var chord = 2 * Math.sqrt(Math.pow(r + geometry.ring, 2) - Math.pow(radius + 5, 2));
      var text = fit(P.name(m, i), (around ? Math.min(angle * radius, chord) : geometry.ring) - 8);
      if (!text) { return; }
      c.save();
      c.translate(geometry.x + Math.cos(middle) * radius, geometry.y + Math.sin(middle) * radius);
      var turn = around ? middle + Math.PI / 2 : middle;
      if (Math.cos(turn) < 0) { turn += Math.PI; }
      c.rotate(turn);
      c.fillStyle = explorer.matches && explorer.matches.hit[i] ? "#fff" : pal.onBar;
      c.fillText(text, 0, 0);
      c.restore();
    }

    function at(x, y) {
      if (!geometry) { return -1; }
      var m = explorer.model, dx = x - geometry.x, dy = y - geometry.y, radius = Math.sqrt(dx * dx + dy * dy);
      if (radius < geometry.inner) { return m.parent[explorer.zoom] >= 0 ? m.parent[explorer.zoom] : explorer.zoom; }
      var level = Math.floor((radius - geometry.inner) / geometry.ring) + 1;
      if (level > geometry.rings) { return -1; }
      var turn = (Math.atan2(dy, dx) + 2.5 * Math.PI) % (2 * Math.PI);
      var value = m.start[explorer.zoom] + turn / (2 * Math.PI) * m.total[explorer.zoom];
      for (var i = explorer.zoom + 1; i < m.end[explorer.zoom];) {
        if (value < m.start[i] || value >= m.start[i] + m.total[i]) { i = m.end[i]; continue; }
        if (m.depth[i] - m.depth[explorer.zoom] === level) { return i; }
        i++;
      }
      return -1;
    }

    self.canvas = canvas;
    self.at = at;
    self.draw = draw;
    self.spot = function (i) {
      var m = explorer.model, span = m.total[explorer.zoom] || 1;
      var a = (m.start[i] + m.total[i] / 2 - m.start[explorer.zoom]) / span * 2 * Math.PI - Math.PI / 2;
      var r = geometry.inner + (m.depth[i] - m.depth[explorer.zoom] - 0.5) * geometry.ring;
      return { x: geometry.x + Math.cos(a) * r, y: geometry.y + Math.sin(a) * r, h: 10 };
    };
    self.reveal = function () { /* always in sight */ };
    return self;
  }

  fmd.sunburst = { Sunburst: Sunburst };
})();
