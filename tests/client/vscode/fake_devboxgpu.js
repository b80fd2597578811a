'use strict';
// The devboxgpu command as the extension starts it: notes its words, answers from files beside the note.

const fs = require('node:fs');

const [folder, ...words] = process.argv.slice(2);
fs.appendFileSync(`${folder}/calls`, `${JSON.stringify(words)}\n`);
if (fs.existsSync(`${folder}/fails`)) {
  process.stderr.write('devboxgpu: the control plane does not answer\n');
  process.exit(1);
}
if (words[0] === 'sessions' && words[1] === 'list') {
  process.stdout.write(fs.readFileSync(`${folder}/sessions`));
}
