/** Preloaded into a computing process: it changes its environment when an order's params ask for it. */
process.on('message', ({ kind, what }: { kind: string; what?: { params?: { padding?: string } } }) => {
  if (kind === 'order' && what?.params?.padding === 'leave something') {
    process.env.LEFT_BEHIND = 'for the next';
  }
});
