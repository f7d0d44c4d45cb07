//! The stories of core/stories through the module's door: the same rows, over RESP, with a test's clock. The pure
//! core runs them too (core's sale/tests/story.rs).

mod shop;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use shop::{Sale, new_product, server_with_clock};
use slot_core::event::{Change, Event};
use slot_core::units::UnixMillis;
use slot_core::wire::{
    AcquireReply, Done, GetReply, PayReply, PaymentView, SaleReply, SaleView, Wire,
};
use slot_loadtest::stack::{RedisServer, workspace_folder};

/// When `at=0` is.
const START: u64 = 1_763_827_200_000;

struct Row<'a> {
    command: &'a str,
    plain: Vec<&'a str>,
    options: HashMap<&'a str, &'a str>,
}

impl<'a> Row<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let command = words.next().context("an empty row")?;
        let (options, plain) = words.partition::<Vec<_>, _>(|word| word.contains('='));
        let options = options.into_iter().filter_map(|option| option.split_once('=')).collect();
        Ok(Self { command, plain, options })
    }

    fn first(&self) -> Result<&'a str> {
        self.plain.first().copied().with_context(|| format!("{} of what?", self.command))
    }

    fn arrival(&self) -> Result<u32> {
        Ok(self.options.get("slot").context("which slot?")?.parse()?)
    }

    fn at(&self) -> Result<u64> {
        Ok(START + self.options.get("at").unwrap_or(&"0").parse::<u64>()?)
    }
}

/// One file's rows on one server.
struct Teller {
    server: RedisServer,
    clock: PathBuf,
    sale: Sale,
}

impl Teller {
    async fn start() -> Result<Self> {
        let (server, clock) = server_with_clock(START).await?;
        let sale = Sale::at(&server, new_product()).await?;
        Ok(Self { server, clock, sale })
    }

    async fn tell(&mut self, row: &Row<'_>) -> Result<String> {
        let now = row.at()?;
        std::fs::write(&self.clock, now.to_string())?;
        match row.command {
            "open" => self.open(row).await,
            "acquire" => self.acquire(row).await,
            "pay" => self.pay(row).await,
            "consume" => self.settle(row, "SLOT.CONSUME", "g").await,
            "decline" => self.settle(row, "SLOT.DECLINE", "no").await,
            "expire" => self.expire().await,
            "get" | "sale" | "audit" => self.look(row).await,
            "stock" => {
                let reply = self.sale.write("SLOT.ALTER", &["STOCK", row.first()?]).await?;
                Ok(match SaleReply::from_value(reply)? {
                    SaleReply::Sale(_) => "ok".to_owned(),
                    SaleReply::Stock { least } => format!("stock least={least}"),
                    other => format!("{other:?}"),
                })
            }
            command => {
                let name = format!("SLOT.{}", command.to_uppercase());
                let slot = row.arrival().map(|arrival| self.sale.slot(arrival));
                let words: Vec<&str> =
                    slot.iter().map(String::as_str).chain(row.plain.iter().copied()).collect();
                let done = Done::from_value(self.sale.write(&name, &words).await?)?;
                Ok(done.word().to_lowercase())
            }
        }
    }

    async fn open(&mut self, row: &Row<'_>) -> Result<String> {
        self.sale = Sale::at(&self.server, new_product()).await?;
        let date = row.options.get("date").unwrap_or(&"0").parse::<u64>()? + START;
        let date = date.to_string();
        let mut words = vec!["SALEDATE", &date, "NAME", "Concert", "DESCRIPTION", "One evening"];
        for (option, name) in [
            ("stock", "STOCK"),
            ("ttl", "TTL"),
            ("waitlist", "WAITLIST"),
            ("limit", "LIMIT"),
            ("window", "PAYMENTWINDOW"),
            ("soon", "EXPIRINGSOON"),
        ] {
            words.extend(row.options.get(option).iter().flat_map(|value| [name, **value]));
        }
        match SaleReply::from_value(self.sale.write("SLOT.CREATE", &words).await?)? {
            SaleReply::Sale(_) => Ok("ok".to_owned()),
            other => bail!("{other:?}"),
        }
    }

    async fn acquire(&mut self, row: &Row<'_>) -> Result<String> {
        let mut words = vec![row.first()?];
        words.extend(row.plain.contains(&"wait").then_some("WAIT"));
        words.extend(row.options.get("nth").iter().flat_map(|nth| ["NTH", **nth]));
        let reply = AcquireReply::from_value(self.sale.write("SLOT.ACQUIRE", &words).await?)?;
        let word = reply.word().to_lowercase();
        Ok(match reply {
            AcquireReply::Acquired(held) => {
                format!("{word} slot={} until={}", held.slot.arrival, ago(held.deadline))
            }
            AcquireReply::Held(held) => {
                format!("{word} slot={} {}", held.slot.arrival, held.status.word().to_lowercase())
            }
            AcquireReply::Waiting { position, slot } => {
                format!("{word} position={position} slot={}", slot.arrival)
            }
            AcquireReply::NotOpen { opens } => format!("{word} opens={}", ago(opens)),
            _ => word,
        })
    }

    async fn pay(&mut self, row: &Row<'_>) -> Result<String> {
        let slot = self.sale.slot(row.arrival()?);
        let amount = row.options.get("amount").unwrap_or(&"100");
        let key = row.options.get("key").context("which key?")?;
        let words = [&slot, row.first()?, key, amount, "KRW", "CARD"];
        Ok(match PayReply::from_value(self.sale.write("SLOT.PAY", &words).await?)? {
            PayReply::Payment(payment, _) => {
                let (id, until) = (payment.id, ago(payment.until));
                let status = payment.status.word().to_lowercase();
                format!("{status} payment={}.{} until={until}", id.slot.arrival, id.attempt)
            }
            other => refused(&other),
        })
    }

    async fn settle(&mut self, row: &Row<'_>, command: &str, words: &str) -> Result<String> {
        let (arrival, attempt) = row.first()?.split_once('.').context("arrival.attempt")?;
        let slot = self.sale.slot(arrival.parse()?);
        let payment = format!("{}{:02x}", &slot[..34], attempt.parse::<u8>()?);
        let charge = match row.options.get("seal") {
            Some(seal) => format!("{payment}.{seal}"),
            None => {
                let payment = self.sale.read("SLOT.GET", &[&payment]).await?;
                PaymentView::from_value(payment)?.charge.to_string()
            }
        };
        let reply = self.sale.write(command, &[&charge, words]).await?;
        Ok(match PayReply::from_value(reply)? {
            PayReply::Payment(payment, slot) => {
                format!("{} {}", payment.status.word(), slot.status.word()).to_lowercase()
            }
            other => refused(&other),
        })
    }

    async fn expire(&mut self) -> Result<String> {
        let before = self.sale.audit().await?.events.0;
        self.sale.write("SLOT.EXPIRE", &[]).await?;
        let lines = self.sale.lines(before).await?;
        let events: Vec<_> = lines.iter().map(|line| event(line)).collect::<Result<_>>()?;
        Ok(if events.is_empty() { "nothing".to_owned() } else { events.join(", ") })
    }

    async fn look(&mut self, row: &Row<'_>) -> Result<String> {
        Ok(match row.command {
            "get" => {
                let slot = self.sale.slot(row.arrival()?);
                match GetReply::from_value(self.sale.read("SLOT.GET", &[&slot]).await?)? {
                    GetReply::Slot(slot) => {
                        let status = slot.status.word().to_lowercase();
                        let paying = if slot.paying { " paying" } else { "" };
                        format!("{status} remaining={}{paying}", slot.remaining)
                    }
                    other => format!("{other:?}"),
                }
            }
            "sale" => {
                let view = SaleView::from_value(self.sale.read("SLOT.SALE", &[]).await?)?;
                let status = view.status.word().to_lowercase();
                let (stock, active, completed) = (view.stock, view.active, view.completed);
                let waiting = view.waiting;
                format!(
                    "{status} stock={stock} active={active} completed={completed} waiting={waiting}"
                )
            }
            _ => format!("refunds={}", self.sale.audit().await?.refunds),
        })
    }
}

fn ago(at: UnixMillis) -> u64 {
    at.0 - START
}

fn refused(reply: &PayReply) -> String {
    match reply {
        PayReply::UnknownCharge => "refund_due unknown".to_owned(),
        PayReply::Refused(refusal) => refusal.word().to_lowercase(),
        PayReply::Payment(..) => "a payment".to_owned(),
    }
}

fn event(line: &str) -> Result<String> {
    Ok(match Event::from_line(line)?.change {
        Change::SlotExpired(e) => {
            format!("expired slot={} {}", e.arrival, e.status.word().to_lowercase())
        }
        Change::SlotAcquired(e) => format!("acquired slot={} until={}", e.arrival, ago(e.deadline)),
        Change::SlotExpiringSoon(e) => {
            format!("expiring_soon slot={} until={}", e.arrival, ago(e.deadline))
        }
        Change::PaymentFailed(e) => {
            let cause = e.cause.word().to_lowercase();
            format!("payment_failed {}.{} {cause} until={}", e.arrival, e.attempt, ago(e.deadline))
        }
        other => other.type_word().to_lowercase(),
    })
}

#[tokio::test]
async fn the_stories_go_over_resp_as_told() -> Result<()> {
    let mut teller = Teller::start().await?;
    let mut rows = 0;
    for file in std::fs::read_dir(workspace_folder().join("core/stories"))? {
        let path = file?.path();
        let text = std::fs::read_to_string(&path)?;
        for (number, line) in (1..).zip(text.lines()) {
            let Some((ask, expected)) = line.split_once("=>") else { continue };
            let place = format!("{}:{number}: {line}", path.display());
            let got = teller.tell(&Row::parse(ask)?).await.with_context(|| place.clone())?;
            ensure!(got == expected.trim(), "{place}: got {got}");
            teller.sale.audit().await.with_context(|| place.clone())?;
            rows += 1;
        }
    }
    std::fs::remove_file(&teller.clock)?;
    ensure!(rows > 80, "only {rows} rows were found");
    Ok(())
}
