// How the manifest of the element is read out of its source.
export default { globs: ['src/element.ts', 'src/widget.ts'], outdir: '.cem', litelement: true, quiet: true, packagejson: false };
