/* Keyboard: what the help sheet lists. Nothing fires while somebody types, and nothing with Ctrl, Alt or Meta. */
(function () {
  "use strict";
  var awaitingPage = 0;

  function typing(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  function click(id) {
    var element = document.getElementById(id);
    if (element) { element.click(); }
    return Boolean(element);
  }

  function goTo(letter) {
    var link = document.querySelector('.fmd-nav a[data-key="' + letter.replace(/["\\]/g, "") + '"]');
    if (link) { link.click(); }
    return Boolean(link);
  }

  var actions = {
    "/": function () {
      var field = document.querySelector("[data-filter]");
      if (!field) { return false; }
      field = field.matches("input") ? field : field.querySelector("input");
      field.focus();
      field.select();
      return true;
    },
    "?": function () { window.dash_clientside.set_props("help", { opened: true }); return true; },
    t: function () { return click("range-button"); },
    z: function () { return click("range-out"); },
    r: function () { return click("refresh"); },
    d: function () { return click("scheme"); },
    ".": function () { window.fmd.copy(window.location.href, "Link copied"); return true; },
    g: function () { awaitingPage = Date.now(); return true; },
    "shift+ArrowLeft": function () { return click("range-back"); },
    "shift+ArrowRight": function () { return click("range-forward"); },
  };

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || typing(event.target)) { return; }
    if (Date.now() - awaitingPage < 1500) {
      awaitingPage = 0;
      if (goTo(event.key)) { event.preventDefault(); return; }
    }
    var name = event.shiftKey && event.key.length > 1 ? "shift+" + event.key : event.key;
    if (Object.prototype.hasOwnProperty.call(actions, name) && actions[name]()) { event.preventDefault(); }
  });
})();
