/** Preloaded into a computing process: a runtime that breaks before anything can be computed. */
process.exit(7);
