"""The reference head-end: listens for pushes, polls, fills gaps, commands, stores."""
