'use strict';
(function () {
  const connection = document.getElementById('connection');
  const parsed = document.createElement('template');
  const stream = new EventSource('status/stream');
  stream.onopen = function () { connection.hidden = true; };
  stream.onerror = function () { connection.hidden = false; };
  stream.onmessage = function (event) {
    parsed.innerHTML = event.data;
    const selection = getSelection();
    for (const section of parsed.content.querySelectorAll('section')) {
      const shown = document.getElementById(section.id);
      // Replace what differs, but no text under a selection: somebody is about to copy it.
      if (shown.innerHTML !== section.innerHTML &&
          !(selection && !selection.isCollapsed && selection.containsNode(shown, true))) {
        shown.replaceWith(section);
      }
    }
  };
})();
