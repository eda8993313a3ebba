//! One token an identity: kept while it is good, asked for once however many want it, and the last
//! proven one kept where only syncd can write.
