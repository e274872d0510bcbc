/* Ways into an editor: by the setting of the dashboard, or by what a person has chosen in this browser. */
(function () {
  "use strict";
  var fmd = window.fmd, el = fmd.profileTable.el;
  var KEY = "fmd-editor";
  var EDITORS = [
    ["VS Code", "vscode://file/{path}:{line}"],
    ["PyCharm", "pycharm://open?file={path}&line={line}"],
    ["Sublime Text", "subl://open?url=file://{path}&line={line}"],
    ["Zed", "zed://file/{path}:{line}"],
  ];

  function preference() {
    try { return JSON.parse(window.localStorage.getItem(KEY)) || {}; } catch (e) { return {}; } // storage may be off
  }

  function prefer(choice) {
    try { window.localStorage.setItem(KEY, JSON.stringify(choice)); } catch (e) { /* storage is off */ }
  }

  /* The address that opens a line: the person's own choice, else the setting's. Nothing that a page could run. */
  function link(file, line, setting) {
    var own = preference(), template = own.template || setting || "";
    if (!template || !/^[a-z][a-z0-9+.-]*:/i.test(template) || /^(javascript|data|vbscript|blob|file):/i.test(template)) { return ""; }
    var root = own.template && own.root ? own.root.replace(/[\\/]+$/, "") + "/" : "";
    var path = (root + file).split("/").map(encodeURIComponent).join("/").replace(/%3A/g, ":");
    return template.replace("{path}", path).replace("{line}", line || 1);
  }

  /* Where somebody says which editor is theirs. */
  function form(setting, chosen) {
    var own = preference(), made = el("div", "fmd-editor-form");
    var choice = el("select"), template = el("input"), root = el("input");
    [["Other", ""]].concat(EDITORS).forEach(function (one) {
      var option = el("option", "", one[0]);
      option.value = one[1];
      choice.appendChild(option);
    });
    template.value = own.template || setting || EDITORS[0][1];
    root.value = own.root || "";
    choice.value = EDITORS.some(function (one) { return one[1] === template.value; }) ? template.value : "";
    root.placeholder = "/home/me/shop";
    [["Editor", choice], ["Address", template], ["Folder of the app on this computer", root]].forEach(function (one) {
      var label = el("label", "", one[0]);
      label.appendChild(one[1]);
      made.appendChild(label);
    });
    choice.addEventListener("change", function () { if (choice.value) { template.value = choice.value; } });
    var save = el("button", "fmd-button", "Remember in this browser");
    save.type = "button";
    save.addEventListener("click", function () {
      prefer({ template: template.value.trim(), root: root.value.trim() });
      stacks();
      chosen();
    });
    made.appendChild(save);
    return made;
  }

  function said(setting) {
    return preference().template || setting ? "Change the editor" : "Open lines in your editor …";
  }

  function choice(setting, chosen) {
    var details = el("details", "fmd-editor");
    details.appendChild(el("summary", "", said(setting)));
    details.appendChild(form(setting, chosen));
    return details;
  }

  /* The links that stand in a stack of calls are the server's; where they lead is known here. */
  function aim(anchor) {
    var to = link(anchor.dataset.editFile, anchor.dataset.editLine, anchor.dataset.editWith);
    if (to) { anchor.href = to; } else { anchor.removeAttribute("href"); }
    anchor.hidden = !to;
  }

  function stacks() {
    Array.prototype.forEach.call(document.querySelectorAll("a[data-edit-file]"), aim);
    Array.prototype.forEach.call(document.querySelectorAll("details[data-edit-choice]"), function (details) {
      details.querySelector("summary").textContent = said(details.dataset.editChoice);
    });
  }

  document.addEventListener("toggle", function (event) {
    var details = event.target;
    if (!details.matches || !details.matches("details[data-edit-choice]") || !details.open) { return; }
    var host = details.querySelector("div");
    host.textContent = "";
    host.appendChild(form(details.dataset.editChoice, function () { details.open = false; }));
  }, true);

  /* React may give a link that stands there another line: it is aimed once more before anybody follows it. */
  ["pointerdown", "focusin", "mouseover"].forEach(function (kind) {
    document.addEventListener(kind, function (event) {
      var anchor = event.target.closest ? event.target.closest("a[data-edit-file]") : null;
      if (anchor) { aim(anchor); }
    }, true);
  });

  new MutationObserver(function (changes) {
    var wanted = changes.some(function (change) {
      return Array.prototype.some.call(change.addedNodes, function (node) {
        return node.nodeType === 1 && (node.matches(".fmd-frames") || node.querySelector(".fmd-frames"));
      });
    });
    if (wanted) { stacks(); }
  }).observe(document.documentElement, { childList: true, subtree: true });

  fmd.editor = { link: link, choice: choice };
})();
