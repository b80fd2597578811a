'use strict';
// As much of VS Code as the extension touches, and a record of what it did.

function fakeVscode(settings) {
  const seen = { profiles: {}, commands: {}, terminals: [], messages: [], opened: [], closed: [], answers: {} };
  const item = {
    text: '', tooltip: '', visible: false,
    show() { this.visible = true; }, hide() { this.visible = false; }, dispose() {},
  };
  const answer = (kind) => async (...asked) => {
    seen.messages.push([kind, ...asked]);
    const given = seen.answers[kind];
    return typeof given === 'function' ? given(...asked) : given;
  };
  const vscode = {
    StatusBarAlignment: { Left: 1 },
    ThemeIcon: class { constructor(id) { this.id = id; } },
    TerminalProfile: class { constructor(options) { this.options = options; } },
    workspace: { getConfiguration: () => ({ get: (name) => settings[name] }) },
    commands: { registerCommand: (name, run) => { seen.commands[name] = run; return { dispose() {} }; } },
    window: {
      terminals: [],
      createStatusBarItem: () => item,
      registerTerminalProfileProvider: (id, provider) => { seen.profiles[id] = provider; return { dispose() {} }; },
      onDidOpenTerminal: (listen) => { seen.opened.push(listen); return { dispose() {} }; },
      onDidCloseTerminal: (listen) => { seen.closed.push(listen); return { dispose() {} }; },
      createTerminal: (options) => {
        const terminal = { creationOptions: options, show() { terminal.shown = true; } };
        seen.terminals.push(terminal);
        return terminal;
      },
      showInputBox: answer('input'),
      showQuickPick: answer('pick'),
      showWarningMessage: answer('warning'),
      showInformationMessage: answer('information'),
      showErrorMessage: answer('error'),
    },
  };
  return { vscode, seen, item };
}

module.exports = { fakeVscode };
