//! The path with models that LightGBM wrote: the decision's numbers are the model's own to the last bit, explanations add
//! up, and every decision replays and explains from its record alone.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tendon_engine::{
    Engine, Parts, Runtime, Slot,
    ask::{Ask, Input, Item, Priority},
    stored,
};
use tendon_kernel::{
    Type,
    decision::Outcome,
    schema::{Field, Schema},
    sockets::{
        ledger::ModelRef,
        model::{FeatureKind, Matrix, Model},
    },
};
use tendon_plan::{
    IntegrationPlan, Plan,
    lookup::LookupsPlan,
    plan::{
        ApiPlan, BandPlan, Encoding, ExplainPlan, FallbackPlan, FeaturePlan, InputPlan, RecordPlan, ServerLimits,
        Source, Threshold,
    },
};
use tendon_testkit::{Rng, Sim};

use crate::common::{FakeLedger, INTEGRATION, caller};

fn load(path: &str) -> Arc<dyn Model> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    tendon_models::load(None, &bytes).unwrap().1
}

/// One field per feature; texts for categories.
fn plan(model: &dyn Model) -> Arc<Plan> {
    let signature = model.signature();
    let mut fields = Vec::new();
    let mut features = Vec::new();
    for (index, feature) in signature.features.iter().enumerate() {
        let (kind, encoding) = match &feature.kind {
            FeatureKind::Category { values } => {
                let codes = values
                    .iter()
                    .enumerate()
                    .map(|(code, text)| (text.as_str().into(), f64::from(u32::try_from(code).unwrap())));
                (Type::Text, Encoding::Category(codes.collect()))
            }
            FeatureKind::Number | FeatureKind::CategoryCode => (Type::Float, Encoding::Number),
        };
        fields.push(Field::new(&feature.name, kind));
        features.push(FeaturePlan { name: feature.name.as_str().into(), source: Source::Field(index), encoding });
    }
    let integration = IntegrationPlan {
        lookups: LookupsPlan::default(),
        name: INTEGRATION.into(),
        purpose: "tests".into(),
        owner: "tests".into(),
        model: "m".into(),
        alias: "v1".into(),
        signature: Arc::new(signature.clone()),
        subject: None,
        input: InputPlan {
            schema: Arc::new(Schema::new(fields)),
            defaults: Vec::new(),
            quarantine: Vec::new(),
            reject: Vec::new(),
        },
        features,
        output_range: (f64::MIN, f64::MAX),
        route: tendon_plan::route::RoutePlan::default(),
        bands: vec![BandPlan { name: "all".into(), test: Threshold::Otherwise }],
        fallback: FallbackPlan::default(),
        review: None,
        explain: ExplainPlan::OnRequest,
        record: RecordPlan::Durable,
        retention: "standard".into(),
        region: "eu".into(),
        policy: "00".into(),
        objectives: None,
        cache: None,
        api: Some(ApiPlan::default()),
        events: None,
        embed: None,
    };
    Arc::new(Plan {
        project: "tests".into(),
        digest: "11".into(),
        systems: BTreeMap::new(),
        models: BTreeMap::new(),
        integrations: BTreeMap::from([(INTEGRATION.into(), Arc::new(integration))]),
        limits: ServerLimits { in_flight: 1000, body_bytes: 1 << 20, depth: 8, ..ServerLimits::default() },
        grpc: None,
        ..Plan::default()
    })
}

/// A row as a caller sends it, and as the model should see it.
fn row(model: &dyn Model, rng: &mut Rng) -> (String, Vec<f64>) {
    let mut object = serde_json::Map::new();
    let mut numbers = Vec::new();
    for feature in &model.signature().features {
        let missing = rng.chance(1, 8);
        let (json, number) = match &feature.kind {
            _ if missing => (serde_json::Value::Null, f64::NAN),
            FeatureKind::Category { values } => {
                // One beyond the list: an unseen category.
                let code = rng.index(values.len() + 1);
                let text = values.get(code).map_or("never seen", String::as_str);
                let known = f64::from(u32::try_from(code).unwrap());
                (text.into(), if code < values.len() { known } else { f64::NAN })
            }
            FeatureKind::CategoryCode => {
                let code = f64::from(u32::try_from(rng.below(12)).unwrap());
                (code.into(), code)
            }
            FeatureKind::Number => {
                let (low, high) = feature.range.unwrap_or((-5.0, 5.0));
                let share = f64::from(u32::try_from(rng.below(1 << 30)).unwrap()) / f64::from(1 << 30);
                let number = low + (high - low) * share;
                (number.into(), number)
            }
        };
        object.insert(feature.name.clone(), json);
        numbers.push(number);
    }
    (serde_json::Value::Object(object).to_string(), numbers)
}

fn check(path: &str) {
    let model = load(path);
    let sim = Sim::new(5);
    let context = sim.context();
    let ledger = FakeLedger::new(&context, 5);
    let reference = ModelRef { name: "m".into(), version: "v1".into(), digest: "aa".into() };
    let slot = Slot { reference, model: Arc::clone(&model) };
    let models = BTreeMap::from([(("m".to_owned(), "v1".to_owned()), slot)]);
    let runtime = Runtime::new(plan(&*model), models, &BTreeMap::new()).unwrap();
    let engine = Engine::new(Parts { context, ledger: ledger.clone(), runtime, deliveries: None });
    let mut rng = Rng::stream(5, path);
    let rows: Vec<(String, Vec<f64>)> = (0..50).map(|_| row(&*model, &mut rng)).collect();
    let items =
        rows.iter().map(|(text, _)| Item { input: Input::Json(text.clone().into()), idempotency_key: None, row: None });
    let door = tendon_kernel::decision::Door::Api;
    let question = Ask {
        caller: caller(),
        door,
        integration: INTEGRATION.into(),
        priority: Priority::Live,
        explain: true,
        deadline: None,
        items: items.collect(),
    };
    let deciding = Arc::clone(&engine);
    let answers = sim.run(async move { deciding.decide(question).await }).done().unwrap();

    let outputs = model.signature().outputs;
    for ((answer, (_, numbers)), mut entry) in answers.items.into_iter().zip(rows).zip(ledger.decisions()) {
        let decision = answer.unwrap().decision;
        let matrix = Matrix { columns: numbers.len(), values: numbers };
        let expected = model.predict(&matrix).unwrap();
        let largest = expected.iter().copied().reduce(f64::max).unwrap();
        assert_eq!((decision.outcome, decision.output.map(f64::to_bits)), (Outcome::Ok, Some(largest.to_bits())));
        assert_eq!(decision.classes.as_deref(), (outputs > 1).then_some(&expected[..]), "{path}");

        let explanation = decision.explanation.clone().unwrap();
        let sum: f64 = explanation.reasons.iter().map(|reason| reason.contribution).sum();
        assert!((explanation.base + sum - explanation.margin).abs() < 1e-9, "{path}: {explanation:?}");
        let margins = model.margin(&matrix).unwrap();
        let of_largest = expected.iter().position(|output| output.to_bits() == largest.to_bits()).unwrap();
        assert!((margins[of_largest] - explanation.margin).abs() < 1e-9, "{path}: another output was explained");

        assert!(engine.replay(&entry).unwrap().same);
        entry.body.as_mut().unwrap().explanation.clear();
        let later = stored::explain(&entry, Some(&*model), Some(&engine.runtime())).unwrap();
        assert_eq!(later, explanation, "{path}: explained later is explained now");
    }
}

#[test]
fn models_of_lightgbm_decide_explain_and_replay() {
    let fixtures = "crates/models/tests/fixtures";
    for name in ["binary", "multiclass", "regression_cat_zero_missing", "rf_binary", "tweedie", "v3_multiclass_numeric"]
    {
        check(&format!("{fixtures}/{name}.txt"));
    }
    check("examples/lead-score/lead-score.txt");
}
