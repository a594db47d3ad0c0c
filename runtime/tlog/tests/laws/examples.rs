//! Valid input for each parser: what property tests and fuzz targets start from.

use chancery_tlog::cosignature::{Seconds, WitnessKey, cosign};
use chancery_tlog::merkle::{Tree, leaf_hash};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::tile::{encode_bundle, tiles_for};
use chancery_tlog::witness::Request;
use chancery_tlog::{Checkpoint, TlogProof};
use chancery_types::call::Sibling;
use chancery_types::codec::Encode;
use chancery_types::entry::{Event, Outcome};
use chancery_types::{
    Action, Call, ContractId, Entry, Gas, Hash, Height, LedgerId, ModuleId, PublicKey, Record, RequestId, Signature,
    SignedCall, Timestamp,
};
use ed25519_dalek::SigningKey;

const ORIGIN: &str = "ledger.example/town";

fn log() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn witness() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// Valid inputs of the law with this name.
pub fn examples(law: &str) -> Vec<Vec<u8>> {
    let mut tree = Tree::new();
    (0u64..300).for_each(|index| tree.push(leaf_hash(&index.to_be_bytes())));
    let checkpoint =
        |size| Checkpoint { origin: ORIGIN.into(), size, root: tree.root_at(size).unwrap_or(Hash([0; 32])) };
    let log_vkey = VerifierKey::of(ORIGIN, &log()).to_vkey();
    let witness_vkey = WitnessKey::of("witness.example/w1", &witness()).to_vkey();
    let cosigned = |size| {
        let checkpoint = checkpoint(size);
        checkpoint.sign(&log()) + &cosign(&checkpoint.text(), "witness.example/w1", &witness(), Seconds(1_700_000_000))
    };
    let texts: Vec<String> = match law {
        "note" => vec![checkpoint(3).sign(&log()), cosigned(300), log_vkey, witness_vkey],
        "checkpoint" => vec![checkpoint(0).text(), checkpoint(300).text(), checkpoint(3).text() + "extension\n"],
        "tile_path" => {
            let tiles =
                tiles_for(0, 70_000).filter(|tile| tile.index > 270 || tile.width < 256).map(|tile| tile.path());
            tiles.chain(["tile/entries/000".into(), "tile/entries/x001/x234/067.p/7".into()]).collect()
        }
        "proof" => [(None, 1, 3), (Some(b"extra".to_vec()), 299, 300), (None, 0, 1)]
            .map(|(extra, index, size)| {
                let path = tree.prove_inclusion(index, size).unwrap_or_default();
                TlogProof { extra, index, path, checkpoint: cosigned(size) }.to_string()
            })
            .to_vec(),
        "policy" => vec![
            format!("log {log_vkey}\nquorum none\n"),
            format!(
                "# a policy\nlog {log_vkey} https://ledger.example\nwitness w1 {witness_vkey} \thttps://w1.example\n\ngroup all-of-them all w1\nquorum all-of-them\n"
            ),
        ],
        "request" => [(0, 3), (2, 3), (100, 300)]
            .map(|(old, new)| {
                let proof = tree.prove_consistency(old, new).unwrap_or_default();
                Request { old, proof, checkpoint: cosigned(new) }.to_string()
            })
            .into_iter()
            .chain(["17\n".into()])
            .collect(),
        "bundle" => {
            let entries: Vec<Vec<u8>> = (0..256usize).map(|length| vec![7; length % 20]).collect();
            let bundle = |width: usize| {
                [(width as u16).to_be_bytes().to_vec(), encode_bundle(&entries[..width]).unwrap_or_default()].concat()
            };
            return vec![bundle(1), bundle(3), bundle(256)];
        }
        "entry" => return entries(),
        _ => Vec::new(),
    };
    texts.into_iter().map(String::into_bytes).collect()
}

fn entries() -> Vec<Vec<u8>> {
    let genesis = Record::Genesis { origin: ORIGIN.into(), nonce: [3; 32] };
    let seal = Record::Seal { height: Height(1), state_root: Hash([4; 32]), entries: 2, keys: 5 };
    let action = Action::Invoke { contract: "housing".into(), method: "decide".into(), arguments: vec![1, 2, 3] };
    let call = Call {
        ledger: LedgerId([1; 32]),
        actor: PublicKey([2; 32]),
        request: RequestId(3),
        valid_until: Timestamp(4),
        action,
    };
    let siblings = [Sibling::Right { hash: Hash([15; 32]) }, Sibling::Left { hash: Hash([16; 32]) }];
    let [alone, together] = [Vec::new(), siblings.to_vec()].map(|path| Record::Call {
        signed: SignedCall { call: call.clone(), signature: Signature([5; 64]), path },
        contract: ContractId([6; 32]),
        module: ModuleId([7; 32]),
        outcome: Outcome::Refused { code: 1, detail: vec![8], reasons: vec!["§ 5".into()] },
        gas: Gas(9),
        prices: 1,
        events: vec![Event { kind: 0, data: vec![10] }],
        trace: Hash([11; 32]),
        movements: Vec::new(),
        writes: Hash([12; 32]),
    });
    let entry = |index, record: Record| Entry {
        version: record.version(),
        index,
        previous: Hash([13; 32]),
        time: Timestamp(14),
        record,
    };
    [genesis, alone, seal, together]
        .into_iter()
        .zip(0..)
        .map(|(record, index)| entry(index, record).to_bytes())
        .collect()
}
