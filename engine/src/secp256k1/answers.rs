//! Known answers: rows with the key that they recover to, run through a backend before it is used.
//!
//! Numbers and keys from the definition over integers, not from any code here; the tests hold them against libsecp256k1 and k256.

use super::{Backend, Hints, PublicKey, Signature, gpu, recover_run, verify_run};
use crate::gpu::GpuError;
use alloy_primitives::hex;

/// A row and its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The row.
    pub signature: Signature,
    /// Its key; `None` if it recovers to nobody.
    pub key: Option<PublicKey>,
}

const fn answer(digest: [u8; 32], r: [u8; 32], s: [u8; 32], recovery_id: u8, key: Option<[u8; 64]>) -> Answer {
    let key = match key {
        Some(key) => Some(PublicKey(key)),
        None => None,
    };
    Answer { signature: Signature { digest, r, s, recovery_id }, key }
}

/// Low and high s, z = 0 and 2^256 - 1, R.x = n + 2 and n + 4, R = +-G, and rows of nobody: r = 5, s = 0, r = n, the key at
/// infinity, r + n = p. Thirteen, so that repeated eight times each row comes into each lane.
pub(crate) const ANSWERS: [Answer; 13] = [
    answer(
        hex!("f8e8e742b81b806604fc01df885572a777edfa92cf5e81ce6347f49d84780545"),
        hex!("fb83010b740a7839eebb9a126f69140b85ab9c81c7487b05da2565e6c7cccbb5"),
        hex!("28badf31ff978d502e414b984d37ff1232803e6b99b2db67f32606d84819b638"),
        1,
        Some(hex!(
            "800894531cdf65a4a8c8e1193ab245040b0e386fef21deb6d067c798ab85172d"
            "7e1043688b26b0e00f822b8e188f7348fdd427b703a16d446609eade0c278cd0"
        )),
    ),
    answer(
        hex!("44ba554e17977b31413d531e0aa4e02e87a7a38115d3be3b33c95f85fac2a4f7"),
        hex!("669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0"),
        hex!("d55d462644053a2d1219b19435ac24442089515acafdeec28ec149f2af2fc590"),
        1,
        Some(hex!(
            "ecf185f85115c2bcd36d128b40b0576ef507890da40d98c87ffd75ea9e4ff403"
            "d512a58164ab39e22975cd5b62290279bcdc86e2337df820aaccfb30764ee350"
        )),
    ),
    answer(
        hex!("3c417b7ea567c3115deebed7319de56c4d008e6990b0d45ed5cfa53d4c5d37fa"),
        hex!("60b2003c386519fc9eadf2b5cf124dd8eea4c4e68d5e154050a9346ea98ce600"),
        hex!("48fa5c46e2b3daaf2db7f584993ef2610d892e4336346da45b8d8b47cc291320"),
        0,
        Some(hex!(
            "a4d26294d355931c62b6144689fbf74e5ffcf5e3415821a89d4b71bffad043dc"
            "11992f6e49c6f1a6473191d46e198dc3d8949fa3fe576db1bbd0e3ea051bcb46"
        )),
    ),
    answer(
        hex!("47d1607efc92e4e3b765be65c7ec2ac063524455d36ae201aec7cccd4a6e431e"),
        hex!("62a74e399c39ed5593852a30147f2959b56bb827dfa3e60e464b02ccf87dc5e8"),
        hex!("c1ffc9c7c646e824eb99702e108004213634f62b8cf2a34dc7482783bef354f3"),
        0,
        Some(hex!(
            "1903593a44d2421e988b3bef1079dd7af66a63940169632cfb8988f18a985e3d"
            "7b1e66e3360309a434dcd83a3d87d781c8bfa37619d3b384c2389d2ccc9896fe"
        )),
    ),
    answer(
        hex!("0000000000000000000000000000000000000000000000000000000000000000"),
        hex!("fb83010b740a7839eebb9a126f69140b85ab9c81c7487b05da2565e6c7cccbb5"),
        hex!("28badf31ff978d502e414b984d37ff1232803e6b99b2db67f32606d84819b638"),
        1,
        Some(hex!(
            "95dfd93c6327158488f1456d177ffd6424eb785757ce62bcf0d2a361ca8d3e5c"
            "de0197b77207b1cb9a19fd5bcfd8840699b23689a639dbb79fdd23883af4be5a"
        )),
    ),
    answer(
        hex!("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        hex!("0000000000000000000000000000000000000000000000000000000000000002"),
        hex!("043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89"),
        2,
        Some(hex!(
            "deeac31ee1a365a5767224787c620df4cfde95ef701589d3771975b2ca0f848e"
            "dc0dc94ef3797f058760cbe8d4d73621388550033b54ef8192b3259946b8c0d3"
        )),
    ),
    answer(
        hex!("91154e3dc6d41b78d778de811768416fa629e18d73a67be7d009aa915fe0258c"),
        hex!("0000000000000000000000000000000000000000000000000000000000000004"),
        hex!("0000000000000000000000000000000000000000000000000000000000000004"),
        3,
        Some(hex!(
            "5ed23fbcfdb511e3c8a944499d33e5b8ad214bddcc1e92cd217b3a75c3d00422"
            "3a176527b1519f8311f54529ea2826cc2e09a5deb31b00df8eb3f385a436b829"
        )),
    ),
    answer(
        hex!("31bd9995e7328652c3375f00a02eabed1f015b2e04bbf01a5ca6ae8bc7eb98a4"),
        hex!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
        hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        0,
        Some(hex!(
            "34b7bfc7667753b7f62c1d5595953e7be2fa1fc39ca4137aad65b3aab9f3eae0"
            "779e7eb0f4016d1a04cbbe02f70e2de23c0755aec65a4ad0e2dd1899b16b4d1d"
        )),
    ),
    answer(
        hex!("0000000000000000000000000000000000000000000000000000000000000005"),
        hex!("0000000000000000000000000000000000000000000000000000000000000005"),
        hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        0,
        None,
    ),
    answer(
        hex!("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        hex!("669b8afcec803a0d323e9a17f3ea8e68e8abe5a278020a929adbec52421adbd0"),
        hex!("0000000000000000000000000000000000000000000000000000000000000000"),
        0,
        None,
    ),
    answer(
        hex!("3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"),
        hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
        hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        0,
        None,
    ),
    answer(
        hex!("4ac28a4e19cd677d7a3ba0256e7290d040fd54c27d487750517537facc344e79"),
        hex!("c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"),
        hex!("a56145270ce6b3bebd1dd012b73948677dd618d496488bc608a3cb43ce3547dd"),
        0,
        None,
    ),
    answer(
        hex!("2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"),
        hex!("000000000000000000000000000000014551231950b75fc4402da1722fc9baee"),
        hex!("0000000000000000000000000000000000000000000000000000000000000001"),
        2,
        None,
    ),
];

/// Runs the answers through a backend, without hints and with keys as hints; false if one comes out otherwise. Errors: a device
/// that gives none.
///
/// On this thread, or on one of its own: whoever waits for the result, a worker too, takes up nothing meanwhile that would wait for it
/// as well, and nobody who waits for it is waited for.
pub(crate) fn self_test(backend: Backend) -> Result<bool, GpuError> {
    if backend == Backend::Wgpu {
        // A device's batches are packed by the pool of whoever asks, so it is asked from another.
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else { return test(backend) };
        let tested = std::thread::scope(|scope| scope.spawn(|| pool.install(|| test(backend))).join());
        return tested.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
    test(backend)
}

fn test(backend: Backend) -> Result<bool, GpuError> {
    let answers: Vec<&Answer> = ANSWERS.iter().cycle().take(ANSWERS.len() * 8).collect();
    let signatures: Vec<Signature> = answers.iter().map(|a| a.signature).collect();
    let keys: Vec<PublicKey> = answers.iter().map(|a| a.key.unwrap_or(PublicKey([0; 64]))).collect();
    let signers: Vec<u32> = (0..keys.len() as u32).collect();
    let is_right = |found: &[Option<PublicKey>]| {
        found.len() == answers.len() && found.iter().zip(&answers).all(|(found, a)| *found == a.key)
    };
    let hints = Hints { keys: &keys, signers: &signers, roots: &[] };
    if backend == Backend::Wgpu {
        let device = gpu::device();
        if !is_right(&device.try_few(&signatures, &Hints::default())?.keys) {
            return Ok(false);
        }
        // Each row once, so that points meet by chance only; with the key that is its own, and with its neighbour's.
        let once = ANSWERS.len();
        let others: Vec<u32> = (1..=once as u32).collect();
        for signers in [&signers[..once], &others] {
            let found = device.try_few(&signatures[..once], &Hints { signers, ..hints })?;
            if !found.keys.iter().zip(&answers).all(|(found, a)| *found == a.key) {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let (mut found, mut hinted) = (vec![None; answers.len()], vec![None; answers.len()]);
    recover_run(backend, &signatures, &mut found);
    verify_run(backend, &signatures, &hints, &mut hinted);
    Ok(is_right(&found) && is_right(&hinted))
}
