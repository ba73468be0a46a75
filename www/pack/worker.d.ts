/** The module worker that owns the engine; it is started, not imported. */
export {};
