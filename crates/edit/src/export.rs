//! Plans for other programs.
