//! What a run writes down: JSON lines, `TensorBoard` files, plots and sheets.

mod journal;
mod plot;
mod png;
mod sheet;
mod tensorboard;

pub use journal::{Journal, Line};
pub(crate) use plot::write_text;
pub use plot::{Curve, plot};
pub use png::{png_bytes, write_png};
pub use sheet::Sheet;
pub use tensorboard::EventFile;
