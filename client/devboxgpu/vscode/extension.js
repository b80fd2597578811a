'use strict';
// The extension: it starts the devboxgpu command, always as a list of words and never through a shell.

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const vscode = require('vscode');
const { liveSessions, statusText, summary } = require('./sessions.js');

const PROFILE_ID = 'devboxgpu.shell';
const SHELL_TITLE = 'DevBoxGPU Shell';
const AI_TOOLKIT_PORT = 11434;
const PATIENCE_MS = 60000;

/** The command's words: the user's setting, else what `devboxgpu install` wrote, else whatever is on the PATH. */
function commandWords() {
  const set = vscode.workspace.getConfiguration('devboxgpu').get('command');
  if (Array.isArray(set) && set.length > 0 && set.every((word) => typeof word === 'string' && word)) {
    return set;
  }
  try {
    const { command } = JSON.parse(fs.readFileSync(path.join(__dirname, 'command.json'), 'utf8'));
    return Array.isArray(command) && command.length > 0 ? command : ['devboxgpu'];
  } catch {
    return ['devboxgpu'];
  }
}

function terminalOptions(name, ...more) {
  const [shellPath, ...words] = commandWords();
  return { name, shellPath, shellArgs: [...words, ...more], iconPath: new vscode.ThemeIcon('vm'), isTransient: true };
}

/** What the command wrote to standard output; rejects with what it wrote to standard error. */
function run(...more) {
  const [program, ...words] = commandWords();
  return new Promise((resolve, reject) => {
    execFile(program, [...words, ...more], { timeout: PATIENCE_MS, windowsHide: true }, (error, out, told) => {
      if (error) {
        reject(new Error(String(told || error.message).trim()));
      } else {
        resolve(out);
      }
    });
  });
}

async function mySessions() {
  return liveSessions(await run('sessions', 'list', '--user', 'me', '-o', 'json'));
}

/** Shows the running sessions while one of our terminals is open, and asks nothing of anybody when none is. */
class Status {
  constructor() {
    this.item = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Left, 50);
    this.item.name = 'GPU sessions';
    this.item.command = 'devboxgpu.stopSession';
    this.terminals = new Set();
    this.timer = undefined;
    this.looking = false;
  }

  opened(terminal) {
    this.terminals.add(terminal);
    if (this.timer === undefined) {
      const every = Math.max(10, Number(vscode.workspace.getConfiguration('devboxgpu').get('lookEverySeconds')) || 30);
      this.timer = setInterval(() => this.look(), every * 1000);
      this.look();
    }
  }

  closed(terminal) {
    this.terminals.delete(terminal);
    if (this.terminals.size === 0) {
      this.dispose();
    }
  }

  async look() {
    if (this.looking) {
      return; // the last answer is not there yet: one question at a time
    }
    this.looking = true;
    let text;
    let tooltip;
    try {
      const sessions = await mySessions();
      text = statusText(sessions, Date.now());
      tooltip = sessions.map((session) => `${session.id}: ${summary(session, Date.now())}`).join('\n');
    } catch (error) {
      text = '$(vm) GPU: unknown';
      tooltip = error.message;
    }
    this.looking = false;
    if (this.timer === undefined || text === undefined) {
      this.item.hide();
      return;
    }
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.show();
  }

  dispose() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.item.hide();
  }
}

function openShell() {
  vscode.window.createTerminal(terminalOptions(SHELL_TITLE, 'shell')).show();
}

function portProblem(text) {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65535 ? undefined : 'a port is a number from 1 to 65535';
}

async function forwardPort() {
  const port = await vscode.window.showInputBox({
    title: 'Forward port for AI Toolkit',
    prompt: `Port of the model server in your GPU session; then add http://localhost:PORT in AI Toolkit.`,
    value: String(AI_TOOLKIT_PORT),
    validateInput: portProblem,
  });
  if (port !== undefined && portProblem(port) === undefined) {
    vscode.window.createTerminal(terminalOptions(`GPU port ${port}`, 'forward', port)).show();
  }
}

async function pickSession(sessions) {
  const items = sessions.map((session) => ({
    label: session.id,
    description: summary(session, Date.now()),
    session: session.id,
  }));
  const picked = await vscode.window.showQuickPick(items, { title: 'Stop which GPU session?' });
  return picked && picked.session;
}

async function stopSession() {
  try {
    const sessions = await mySessions();
    if (sessions.length === 0) {
      vscode.window.showInformationMessage('You have no GPU session.');
      return;
    }
    const session = await pickSession(sessions);
    if (session === undefined) {
      return;
    }
    const sure = await vscode.window.showWarningMessage(
      `Stop GPU session ${session}? What runs in it is ended.`, { modal: true }, 'Stop');
    if (sure === 'Stop') {
      await run('sessions', 'stop', session);
      vscode.window.showInformationMessage(`GPU session ${session} is stopping.`);
    }
  } catch (error) {
    vscode.window.showErrorMessage(`DevBoxGPU: ${error.message}`);
  }
}

function isOurs(terminal) {
  const options = terminal.creationOptions || {};
  const [shellPath, ...words] = commandWords();
  const given = Array.isArray(options.shellArgs) ? options.shellArgs : [];
  return options.shellPath === shellPath && words.every((word, place) => given[place] === word);
}

function activate(context) {
  const status = new Status();
  context.subscriptions.push(
    status,
    status.item,
    vscode.window.registerTerminalProfileProvider(PROFILE_ID, {
      provideTerminalProfile: () => new vscode.TerminalProfile(terminalOptions(SHELL_TITLE, 'shell')),
    }),
    vscode.window.onDidOpenTerminal((terminal) => isOurs(terminal) && status.opened(terminal)),
    vscode.window.onDidCloseTerminal((terminal) => status.closed(terminal)),
    vscode.commands.registerCommand('devboxgpu.openShell', openShell),
    vscode.commands.registerCommand('devboxgpu.forwardPort', forwardPort),
    vscode.commands.registerCommand('devboxgpu.stopSession', stopSession),
  );
  vscode.window.terminals.filter(isOurs).forEach((terminal) => status.opened(terminal));
}

function deactivate() {}

module.exports = { activate, deactivate, PROFILE_ID };
