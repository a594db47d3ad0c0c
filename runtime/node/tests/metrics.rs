//! What a ledger tells while it runs, and that the page for operators lists all of it.

mod common;

use chancery_node::prometheus::Prometheus;
use chancery_node::sim::{Full, SimDisk, SimViews};
use chancery_node::witness_server::WitnessServer;
use chancery_node::{Level, Mirror, Options, Place};
use common::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The value of a series; none where it is not in the text.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The ledger of a recorder: everything that it does is told to that alone.
fn measured<T>(open: impl FnOnce() -> T) -> (Prometheus, T) {
    let recorder = Prometheus::default();
    let opened = metrics::with_local_recorder(&recorder, open);
    (recorder, opened)
}

#[test]
fn a_ledger_tells_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, ledger) = measured(|| deployed(dir.path()));
    put_all(&ledger, 0..20);
    ledger.submit(call(&ledger, 50, invoke("refuse", b"x"))).unwrap().wait().unwrap();
    ledger.submit(call(&ledger, 51, invoke("nothing", b""))).unwrap().wait().unwrap();
    let mut forged = put(&ledger, 52);
    forged.signature.0[0] ^= 1;
    assert!(ledger.submit(forged).is_err());
    let size = ledger.head().size;
    ledger.wait_for(size - 1, Level::Published).unwrap();
    let keys = ledger.head().keys;
    ledger.close().unwrap();
    let text = recorder.render();
    let is = |series: &str, expected: f64| assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    // 20 and the deployment.
    is("chancery_calls_total{outcome=\"done\"}", 21.0);
    is("chancery_calls_total{outcome=\"refused\"}", 1.0);
    is("chancery_calls_total{outcome=\"rejected\"}", 1.0);
    is("chancery_submissions_refused_total", 1.0);
    is("chancery_log_entries", size as f64);
    is("chancery_published_entries", size as f64);
    is("chancery_state_keys", keys as f64);
    is("chancery_block_calls_sum", 23.0);
    for nobody in
        ["chancery_submissions_waiting", "chancery_view_blocks_waiting", "chancery_read_only", "chancery_stopped"]
    {
        is(nobody, 0.0);
    }
    // Every call was checked, waited, and was executed; every block was encoded, written, synced, committed, answered.
    let passed = |stage: &str| recorder.time("chancery_stage_seconds", &format!("stage=\"{stage}\""));
    let blocks = value(&text, "chancery_block_calls_count").unwrap() as u64;
    for (stage, count) in [("check", 24), ("queue", 23), ("execute", 23)] {
        assert_eq!(passed(stage).1, count, "{stage}");
    }
    for stage in ["encode", "write", "sync", "commit", "answer"] {
        assert_eq!(passed(stage).1, blocks, "{stage}");
    }
    for stage in ["check", "execute", "encode", "sync", "view", "view_sync", "publish"] {
        assert!(!passed(stage).0.is_zero(), "{stage} took time");
    }
    // The module is loaded by being put, before it is looked up.
    assert_eq!(value(&text, "chancery_cache_misses_total{cache=\"modules\"}"), Some(0.0));
    assert!(value(&text, "chancery_cache_hits_total{cache=\"modules\"}") >= Some(22.0));
    assert!(value(&text, "chancery_cache_hits_total{cache=\"values\"}") > Some(0.0));
    assert!(value(&text, "chancery_disk_free_bytes") > Some(0.0));
    assert!(value(&text, "chancery_gas_total") > Some(0.0));
    assert_eq!(value(&text, "chancery_block_bytes_sum"), value(&text, "chancery_journal_bytes_total"));
}

#[test]
fn a_mirror_and_a_witness_tell_what_they_did() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_vkey();
    let ledger = deployed(&dir.path().join("ledger"));
    let (size, source) = (ledger.head().size, dir.path().join("export"));
    ledger.export(&source, "").unwrap();
    let follow = |source: &Path| {
        let place = Place::Directory(source.into());
        Mirror::open(place, policy(), &dir.path().join("mirror")).unwrap().follow(&silent())
    };
    let (recorder, ()) = measured(|| {
        follow(&source).unwrap();
        follow(&dir.path().join("none")).unwrap_err();
        let key = ed25519_dalek::SigningKey::from_bytes(&[11; 32]);
        let witness =
            WitnessServer::open(&dir.path().join("witness"), "witness.example/w", key, vec![log.clone()]).unwrap();
        let checkpoint = std::fs::read_to_string(source.join("checkpoint")).unwrap();
        let now = chancery_tlog::cosignature::Seconds(1);
        let request = |old: u64| format!("old {old}\n\n{checkpoint}");
        for (old, status) in [(0, 200), (0, 409)] {
            assert_eq!(witness.add_checkpoint(request(old).as_bytes(), now).status, status);
        }
        assert_eq!(witness.add_checkpoint(b"nothing", now).status, 400);
    });
    let text = recorder.render();
    for (series, expected) in [
        ("chancery_mirror_entries", size),
        ("chancery_mirror_rounds_total{result=\"done\"}", 1),
        ("chancery_mirror_rounds_total{result=\"failed\"}", 1),
        ("chancery_witness_requests_total{answer=\"cosigned\"}", 1),
        ("chancery_witness_requests_total{answer=\"conflict\"}", 1),
        ("chancery_witness_requests_total{answer=\"refused\"}", 1),
        ("chancery_witness_requests_total{answer=\"failed\"}", 0),
    ] {
        assert_eq!(value(&text, series), Some(expected as f64), "{series} in\n{text}");
    }
}

#[test]
fn a_full_disk_is_told_and_that_it_has_room_again() {
    let (disk, views) = (SimDisk::new(1), SimViews::default());
    let options =
        || Options { disk: Arc::new(disk.clone()), open_view: views.opener(&disk), log_key: None, ..options() };
    let (recorder, ledger) =
        measured(|| chancery_node::Ledger::create(Path::new("/ledger"), ORIGIN, &log_key(), options()).unwrap());
    let refuse = |request| ledger.submit(call(&ledger, request, invoke("put", b""))).unwrap().wait();
    let read_only = || value(&recorder.render(), "chancery_read_only");
    refuse(1).unwrap();
    assert_eq!(read_only(), Some(0.0));
    disk.set_full(Some(Full::Told));
    assert!(refuse(2).is_err());
    assert_eq!(read_only(), Some(1.0));
    disk.set_full(None);
    refuse(3).unwrap();
    assert_eq!(read_only(), Some(0.0));
}

/// Names with their labels' values, as the page's table has them in its first column.
fn of_page() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/operations/metrics.md");
    let page = std::fs::read_to_string(&page).unwrap();
    let name =
        |line: &str| line.strip_prefix("| `chancery_")?.split_once('`').map(|(name, _)| format!("chancery_{name}"));
    page.lines().filter_map(name).collect()
}

#[test]
fn the_page_lists_every_metric_of_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, ledger) = measured(|| {
        let log = log_vkey();
        let source = Place::Directory(dir.path().join("none"));
        Mirror::open(source, policy(), &dir.path().join("mirror")).unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&[11; 32]);
        WitnessServer::open(&dir.path().join("witness"), "witness.example/w", key, vec![log]).unwrap();
        deployed(&dir.path().join("ledger"))
    });
    ledger.close().unwrap();
    let text = recorder.render();
    let helped: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')).map(|(name, _)| name).collect();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = family.filter(|family| helped.contains(family)).unwrap_or(name);
        assert!(helped.contains(family), "{family} has no description");
        let label =
            labels.trim_end_matches('}').split(',').find(|label| !label.is_empty() && !label.starts_with("le="));
        found.insert(label.map_or(family.into(), |label| format!("{family}{{{label}}}")));
    }
    let page = of_page();
    let missing: Vec<_> = found.difference(&page).collect();
    let gone: Vec<_> = page.difference(&found).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not on the page: {missing:?}; on the page and not told: {gone:?}");
}
