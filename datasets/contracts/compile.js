// Compiles the contracts beside it and writes the code that runs in them, in hex, as NAME.hex. Usage: see README.md.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const sources = {};
for (const name of ["Token", "Pool"]) {
  sources[`${name}.sol`] = { content: fs.readFileSync(path.join(__dirname, `${name}.sol`), "utf8") };
}
const settings = {
  evmVersion: "shanghai",
  optimizer: { enabled: true, runs: 1000000 },
  // Nothing in the code but what runs: the same bytes wherever it is compiled.
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["evm.deployedBytecode.object"] } },
};
const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
const errors = (output.errors || []).filter((e) => e.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((e) => e.formattedMessage).join("\n"));
  process.exit(1);
}
for (const [file, contracts] of Object.entries(output.contracts)) {
  const name = path.basename(file, ".sol");
  fs.writeFileSync(path.join(__dirname, `${name}.hex`), contracts[name].evm.deployedBytecode.object + "\n");
}
console.log(solc.version());
