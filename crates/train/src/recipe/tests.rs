use super::*;

/// The shortest recipe that holds.
const LEAST: &str = r#"
version = 1
stage = "edit-yourself"
steps = 10
[model]
weights = "tiny"
train = ["*"]
[data]
sources = [{ path = "clips" }]
[optimiser]
rate = 1e-4
"#;

fn fault(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    let text = LEAST.replace(from, to);
    Recipe::parse("r.toml", &text).unwrap_err().to_string()
}

#[test]
fn faults_name_the_file_the_key_and_the_range() {
    assert_eq!(
        fault("steps = 10", "steps = 0"),
        "r.toml: steps is 0, but must be within 1..1000000000"
    );
    assert_eq!(
        fault("rate = 1e-4", "rate = -1.0"),
        "r.toml: optimiser.rate is -1, but must be above 0 and at most 10"
    );
    assert_eq!(
        fault("weights = \"tiny\"", ""),
        "r.toml: model is 0 of them, but must be exactly one of `weights` and `config`"
    );
    let unknown = fault("rate = 1e-4", "rate = 1e-4\nmomentun = 0.9");
    assert!(unknown.contains("unknown field `momentun`"), "{unknown}");
    let source = fault("path = \"clips\"", "path = \"clips\", held_out_share = 1.5");
    assert_eq!(
        source,
        "r.toml: data.sources[0].held_out_share is 1.5, but must be within 0..1"
    );
    let whole = fault("[data]", "[data]\nmask = \"frame\"");
    assert_eq!(
        whole,
        "r.toml: data.mask is frame, but must be \"crop\": whole frames can't be trained on yet"
    );
    let stage = fault("stage = \"edit-yourself\"", "stage = \"vocoder\"");
    assert!(stage.contains("unknown variant `vocoder`"), "{stage}");
}

#[test]
fn a_recipe_survives_being_written_out_and_logs_do_not_change_its_key() {
    let recipe = Recipe::parse("r.toml", LEAST).unwrap();
    let again = Recipe::parse("again", &recipe.text().unwrap()).unwrap();
    assert_eq!(recipe, again);
    let mut other = recipe.clone();
    other.log.every = 3;
    assert_eq!(recipe.key().unwrap(), other.key().unwrap());
    other.seed = 1;
    assert_ne!(recipe.key().unwrap(), other.key().unwrap());
}

#[test]
fn shipped_recipes_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let recipe = Recipe::open(&path).unwrap();
            assert!(recipe.steps > 0);
            count += 1;
        }
    }
    assert!(count >= 5);
}

#[test]
fn groups_follow_names_and_scales() {
    let text = LEAST.replace(
        "rate = 1e-4",
        "rate = 1e-4\nmuon_rate = 0.01\nadamw = [\"table\"]\nscales = [{ names = [\"audio.*\"], scale = 2.0 }]",
    );
    let recipe = Recipe::parse("r.toml", &text).unwrap();
    let names = ["audio.w", "other.w", "table"].map(str::to_owned);
    let groups = recipe.optimiser.groups(&names);
    assert_eq!(groups.len(), 3);
    let of = |name: &str| groups.iter().find(|g| g.names.fit(name)).unwrap();
    assert!((of("audio.w").rate - 0.02).abs() < 1e-12);
    assert!((of("audio.w").vector_rate - 2e-4).abs() < 1e-12);
    assert!((of("other.w").rate - 0.01).abs() < 1e-12);
    assert!((of("table").rate - 1e-4).abs() < 1e-12);
}
