'use strict';
// Run by test_install_vscode.py as: node --test extension.test.js, with EXTENSION naming the unpacked extension.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const Module = require('node:module');
const os = require('node:os');
const path = require('node:path');
const { test, beforeEach, afterEach } = require('node:test');
const { fakeVscode } = require('./fake_vscode.js');

const EXTENSION = process.env.EXTENSION;
const packageJson = JSON.parse(fs.readFileSync(path.join(EXTENSION, 'package.json'), 'utf8'));
const SESSIONS = [
  { id: 's-1', state: 'Running', gpuType: 'T4', durationSeconds: 2530, cost: { amount: '0.41', currency: 'USD' } },
  { id: 's-2', state: 'Waiting', gpuType: 'A100' },
  { id: 's-0', state: 'Ended', gpuType: 'T4' },
];
const HOSTILE = 'a b;$(touch x)"\' & %PATH%';

let folder, settings, fake, extension, context;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), `vs code ${'é'} `));
  answerSessions(SESSIONS);
  settings = { command: [process.execPath, path.join(__dirname, 'fake_devboxgpu.js'), folder], lookEverySeconds: 30 };
  fake = fakeVscode(settings);
  const load = Module._load;
  Module._load = (name, ...more) => (name === 'vscode' ? fake.vscode : load(name, ...more));
  delete require.cache[require.resolve(path.join(EXTENSION, 'extension.js'))];
  extension = require(path.join(EXTENSION, 'extension.js'));
  Module._load = load;
  context = { subscriptions: [] };
});

afterEach(() => {
  context.subscriptions.forEach((one) => one.dispose());
  fs.rmSync(folder, { recursive: true });
});

function answerSessions(sessions) {
  fs.writeFileSync(path.join(folder, 'sessions'), JSON.stringify(sessions));
}

function calls() {
  const file = path.join(folder, 'calls');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line)) : [];
}

async function until(predicate) {
  for (let turn = 0; !predicate(); turn += 1) {
    assert.ok(turn < 1000, 'it did not come true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function openTerminal(options) {
  const terminal = { creationOptions: options };
  fake.seen.opened.forEach((listen) => listen(terminal));
  return terminal;
}

function ourOptions() {
  return fake.seen.profiles['devboxgpu.shell'].provideTerminalProfile().options;
}

test('what package.json contributes is what is registered', () => {
  extension.activate(context);

  const profiles = packageJson.contributes.terminal.profiles.map((profile) => profile.id);
  assert.deepEqual(profiles, Object.keys(fake.seen.profiles));
  assert.deepEqual(packageJson.activationEvents, profiles.map((id) => `onTerminalProfile:${id}`));
  assert.deepEqual(packageJson.contributes.commands.map((one) => one.command), Object.keys(fake.seen.commands));
  assert.deepEqual(packageJson.extensionKind, ['ui']);
  for (const name of Object.keys(packageJson.contributes.configuration.properties)) {
    assert.equal(packageJson.contributes.configuration.properties[name].scope, 'machine', name);
  }
});

test('the profile starts the command by its words', () => {
  extension.activate(context);

  const options = ourOptions();
  assert.equal(options.shellPath, settings.command[0]);
  assert.deepEqual(options.shellArgs, [...settings.command.slice(1), 'shell']);
});

test('without a setting the command is the one that install found', () => {
  settings.command = [];
  extension.activate(context);

  const { command } = JSON.parse(fs.readFileSync(path.join(EXTENSION, 'command.json'), 'utf8'));
  assert.equal(ourOptions().shellPath, command[0]);
});

for (const wrong of ['devboxgpu', [1], [''], null, { 0: 'x' }]) {
  test(`a setting that is no list of words is not used: ${JSON.stringify(wrong)}`, () => {
    settings.command = wrong;
    extension.activate(context);

    assert.ok(path.isAbsolute(ourOptions().shellPath));
  });
}

test('sessions are looked at only while a terminal of ours is open', async () => {
  extension.activate(context);
  openTerminal({ shellPath: '/bin/bash', shellArgs: [] });
  openTerminal({ shellPath: settings.command[0], shellArgs: 'as one string' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(calls(), []);

  const terminal = openTerminal(ourOptions());
  await until(() => fake.item.visible);

  assert.equal(fake.item.text, '$(vm) T4 · 42 min · est. 0.41 USD +1');
  assert.equal(fake.item.tooltip, 's-1: T4 · 42 min · est. 0.41 USD\ns-2: A100 · waiting');
  assert.deepEqual(calls(), [['sessions', 'list', '--user', 'me', '-o', 'json']]);

  fake.seen.closed.forEach((listen) => listen(terminal));
  assert.equal(fake.item.visible, false);
});

test('what is not known is never shown as nothing', async () => {
  fs.writeFileSync(path.join(folder, 'fails'), '');
  extension.activate(context);
  openTerminal(ourOptions());
  await until(() => fake.item.visible);

  assert.equal(fake.item.text, '$(vm) GPU: unknown');
  assert.match(fake.item.tooltip, /the control plane does not answer/);
});

test('an answer that is no list is not taken for no sessions', async () => {
  answerSessions({ value: [] });
  extension.activate(context);
  openTerminal(ourOptions());
  await until(() => fake.item.visible);

  assert.equal(fake.item.text, '$(vm) GPU: unknown');
});

test('a session without cost or time shows neither', () => {
  const { statusText } = require(path.join(EXTENSION, 'sessions.js'));
  assert.equal(statusText([{ id: 's', state: 'Running', gpuType: 'T4', cost: { amount: 'x' } }], 0), '$(vm) T4');
  assert.equal(statusText([{ id: 's', state: 'Running', createdAt: '1970-01-01T00:00:00Z' }], 90000), '$(vm) GPU · 1 min');
  assert.equal(statusText([], 0), undefined);
});

test('a shell and a port are opened in terminals', async () => {
  extension.activate(context);
  fake.seen.commands['devboxgpu.openShell']();
  fake.seen.answers.input = '8080';
  await fake.seen.commands['devboxgpu.forwardPort']();

  const words = fake.seen.terminals.map((one) => one.creationOptions.shellArgs.slice(2));
  assert.deepEqual(words, [['shell'], ['forward', '8080']]);
  assert.ok(fake.seen.terminals.every((one) => one.shown));
});

for (const wrong of [undefined, '', '0', '65536', '80 --bind 0.0.0.0', '8e3', '-1']) {
  test(`no port, no terminal: ${wrong}`, async () => {
    extension.activate(context);
    fake.seen.answers.input = wrong;
    await fake.seen.commands['devboxgpu.forwardPort']();

    assert.deepEqual(fake.seen.terminals, []);
    const { validateInput } = fake.seen.messages[0][1];
    assert.match(validateInput(String(wrong)), /1 to 65535/);
    assert.equal(validateInput('11434'), undefined);
  });
}

test('a session is stopped when picked and confirmed, by a word of its own', async () => {
  answerSessions([{ id: HOSTILE, state: 'Running', gpuType: 'T4' }]);
  extension.activate(context);
  fake.seen.answers.pick = (items) => items[0];
  fake.seen.answers.warning = 'Stop';
  await fake.seen.commands['devboxgpu.stopSession']();

  assert.deepEqual(calls().at(-1), ['sessions', 'stop', HOSTILE]);
  assert.equal(fake.seen.messages.at(-1)[0], 'information');
});

test('a session is not stopped without a yes', async () => {
  extension.activate(context);
  fake.seen.answers.pick = (items) => items[1];
  await fake.seen.commands['devboxgpu.stopSession']();
  fake.seen.answers.pick = undefined;
  await fake.seen.commands['devboxgpu.stopSession']();

  assert.deepEqual(calls().map((words) => words[1]), ['list', 'list']);
});

test('a refusal is told', async () => {
  fs.writeFileSync(path.join(folder, 'fails'), '');
  extension.activate(context);
  await fake.seen.commands['devboxgpu.stopSession']();

  assert.match(fake.seen.messages.at(-1)[1], /the control plane does not answer/);
});
